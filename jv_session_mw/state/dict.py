"""The app's own data as a plain dict, which is the default."""


class DictKind:
    """A plain dict: every key is a field."""

    __slots__ = ("made_up", "names", "state_type")

    def __init__(self) -> None:
        self.names: frozenset[str] | None = None
        self.made_up = frozenset[str]()
        self.state_type: type = dict

    def build(self, values: dict[str, object]) -> dict[str, object]:
        return values

    def dump(self, state: dict[str, object]) -> dict[str, object]:
        return dict(state)  # a thread of the app may be changing it

    def value(self, state: dict[str, object], name: str) -> object:
        return state.get(name)

    def dump_field(self, state: dict[str, object], name: str) -> object:
        return state.get(name)
