"""How many turns a process serves from memory while Redis is away."""

import time
from collections.abc import AsyncGenerator
from statistics import median

from jv_session_mw import RedisConversationStore
from jv_session_mw.cli.server import free_port
from tests.benchmarks import drive
from tests.benchmarks.contenders.ours import Ours
from tests.benchmarks.plan import Plan
from tests.benchmarks.results import Measurement

CLIENTS = 200
TURNS = 5


async def turns_per_second(plan: Plan) -> AsyncGenerator[Measurement]:
    """Serve short conversations with a store whose server does not exist."""
    ours = Ours(RedisConversationStore(url=f"redis://127.0.0.1:{free_port()}"))
    rates: list[float] = []
    for round in range(plan.rounds):
        clients = await ours.seed(2 + round, CLIENTS)  # other conversations in each round
        started = time.process_time()
        await drive.cpu(ours.app, "/turn", clients, TURNS)
        rates.append(CLIENTS * TURNS / (time.process_time() - started))
    yield Measurement("fallback", "ours", "turn", median(rates), "turns/s")
    await ours.close()
