"""What stands behind `sql:`: a database's URL, and a table or a query of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, quote_plus, unquote_plus

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from producer.errors import SourceError

#: How such a source is written, for messages.
SQL_FORMS = "sql:URL?table=TABLE or sql:URL?query=QUERY"
#: A longer query is cut in the source's name, where its hash tells it from others.
_NAMED_QUERY_CHARS = 200
_OUR_PARAMETERS = ("table", "query")
#: Between parameters. A second question mark is that of a URL which had some, and which a variable stood for.
_NEXT = re.compile(r"&|\?(?=(?:table|query)=)")
#: A query of one word is a table.
_ONE_WORD = re.compile(r"[\w.]+")
_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SqlUrl:
    """A database, and either a table or a query of it."""

    database: URL
    table: str | None
    query: str | None

    @property
    def name(self) -> str:
        """What tells the source from others: neither user nor password, nor any parameter of the connection."""
        url = self.database
        place = URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database)
        asked = f"table={self.table}" if self.query is None else f"query={_cut(self.query)}"
        return f"sql:{place.render_as_string()}?{asked}"

    def without_secrets(self, message: str) -> str:
        """The message with stars for passwords that stand in it."""
        parameters = self.database.normalized_query.items()
        secrets = [value for name, values in parameters if _SECRET.search(name) for value in values]
        for secret in filter(None, [str(self.database.password or ""), *secrets]):
            for written in (secret, quote(secret, safe=""), quote_plus(secret)):
                message = message.replace(written, "***")
        return message


def parse_sql_url(rest: str) -> SqlUrl:
    """What `rest`, which stands behind `sql:`, asks for.

    The URL is SQLAlchemy's and keeps its own parameters; `table` and `query` are taken out of them. A query with a
    space in it is taken as it stands and to the end, so it comes last; one without is encoded like a URL.
    Raises SourceError, which never repeats the URL: a password may be in it.
    """
    base, _, text = rest.partition("?")
    parameters = list(_parameters(text))
    ours = {name: unquoted for name, unquoted in parameters if name in _OUR_PARAMETERS and unquoted}
    if len(ours) != 1:
        raise SourceError(f"a sql source names either a table or a query of a database: {SQL_FORMS}")
    own = "&".join(f"{name}={value}" for name, value in parameters if name not in _OUR_PARAMETERS)
    table, query = ours.get("table"), ours.get("query")
    if query is not None and _ONE_WORD.fullmatch(query):
        table, query = query, None
    return SqlUrl(_database(f"{base}?{own}" if own else base), table, query and query.strip().removesuffix(";"))


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    while text:
        name, _, rest = text.partition("=")
        if name == "query" and re.search(r"\s", rest):
            yield name, rest
            return
        value, *more = _NEXT.split(rest, maxsplit=1)
        text = "".join(more)
        yield name, unquote_plus(value) if name in _OUR_PARAMETERS else value


def _database(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        example = "sql:postgresql://USER:PASSWORD@HOST/NAME?table=TABLE"
        raise SourceError(f"what stands behind sql: is no database URL; write it as in {example}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _cut(query: str) -> str:
    query = " ".join(query.split())
    if len(query) <= _NAMED_QUERY_CHARS:
        return query
    return f"{query[:_NAMED_QUERY_CHARS]}... {sha256(query.encode()).hexdigest()[:8]}"
