"""Settings that are secrets, in files: `REVIEWMILL_NAME_FILE` names a file that holds `REVIEWMILL_NAME`.

Container engines and service managers hand secrets over as files: what stands in a process's environment is seen by
whoever may inspect it, and is handed down to every child.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from db.errors import DatabaseError


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
    """The setting, from the environment or from its file. Raises DatabaseError where both are given."""
    if from_file is None:
        return value
    if value:
        raise DatabaseError(f"{name} and {name}_FILE are both set; set one of them")
    return from_file.get_secret_value()
