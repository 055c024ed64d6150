"""Settings that are secrets, in files, as in db.secret_files: these two rooms import nothing of each other."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from broker.errors import StackError


def read_secret(path: object) -> object:
    """The file's text without white space around it. Raises ValueError, which tells why it cannot be read."""
    if isinstance(path, SecretStr):
        return path
    try:
        secret = Path(str(path)).read_text().strip()
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    if not secret:
        raise ValueError("the file is empty")
    return secret


#: A setting that is given as a file's name, and holds what the file does.
SecretFile = Annotated[SecretStr, BeforeValidator(read_secret)]


def either(name: str, value: str, from_file: SecretStr | None) -> str:
    """The setting, from the environment or from its file. Raises StackError where both are given."""
    if from_file is None:
        return value
    if value:
        raise StackError(f"{name} and {name}_FILE are both set; set one of them")
    return from_file.get_secret_value()
