"""SQL over a server that `arblast flight serve` runs."""

from typing import Any


def connect(url: str, token: str | None = None, **options: Any) -> Any:
    """A DB-API 2.0 connection by ADBC to Flight SQL at `url`: `grpc://host:8815`, `grpc+tls://host:8815`, or `host:8815`.

    `token`: an access key. Further `options` go to the driver (`adbc_driver_flightsql.DatabaseOptions`). Cursors give rows, and whole
    results as Arrow by `fetch_arrow_table()`. Needs `pip install arblast[flight]`.
    """
    try:
        from adbc_driver_flightsql import DatabaseOptions, dbapi
    except ImportError as error:
        raise ImportError(f"{error}: arblast.connect needs the driver for Flight SQL: pip install 'arblast[flight]'") from error
    if "://" not in url:
        url = f"grpc://{url}"
    if token is not None:
        options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}", **options}
    return dbapi.connect(url, db_kwargs=options, autocommit=True)
