"""All contenders by their names, in the order in which they are shown."""

from tests.benchmarks.contenders import Maker, floor, ours, peers

MAKERS: dict[str, Maker] = {
    "ours": ours.make,
    "starsessions": peers.starsessions,
    "litestar": peers.litestar,
    "fastapi-redis-sdk": peers.fastapi_redis_sdk,
    "cookie": peers.cookie,
    "floor": floor.make,
}
