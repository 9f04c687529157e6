"""The tests; a package, so that helpers have a name: `from tests.servers import RedisServer`.

Only this folder has an `__init__.py`; the folders below need none. Run with `python -m pytest`,
which puts the root of the checkout on the path.
"""
