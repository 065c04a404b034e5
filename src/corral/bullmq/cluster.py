"""The node of a cluster that owns the slot of a prefix.

Asks the node that answered last, then those it named, then those of the URL. When the owner that is known
does not answer, one that names another is believed first: the view of a node that was cut off is behind.
"""

from __future__ import annotations

from typing import Any

from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from corral.bullmq.addresses import Address, Node
from corral.bullmq.asking import Line
from corral.bullmq.failures import code, is_refusal
from corral.bullmq.locating import Locator


class ClusterLocator(Locator):
    """Knows the owner of one slot."""

    def __init__(self, address: Address) -> None:
        super().__init__(self._ask_around)
        self._targets = address.targets
        self._slot = key_slot(address.prefix.encode())
        own = {"password": address.password} if address.password else {}
        of_pools = ("max_connections", "timeout")
        options = {name: value for name, value in self._targets.options.items() if name not in of_pools}
        self._options: dict[str, Any] = options | own
        self._nodes = list(self._targets.nodes)

    def _ask_around(self, current: Node | None) -> Node:
        failures = []
        refusal: Exception | None = None
        second_choice: Node | None = None
        for node in self._nodes:
            line = Line(node, tls=self._targets.tls, options=self._options)
            try:
                owner, nodes = read_slots(line.ask("CLUSTER", "SLOTS"), self._slot, node)
            except (RedisError, OSError) as error:
                failures.append(code(error))
                refusal = error if is_refusal(error) else refusal
                continue
            finally:
                line.close()
            if owner is not None:
                self._nodes = list(dict.fromkeys([node, *nodes, *self._targets.nodes]))
                if owner != current:
                    return owner
                second_choice = owner
        if second_choice is None and refusal is not None:
            raise refusal  # waiting does not heal it
        if second_choice is None:
            raise RedisConnectionError(
                f"No node of the cluster names an owner of slot {self._slot} ({', '.join(failures)})."
            )
        return second_choice


def read_slots(reply: list[Any], slot: int, asked: Node) -> tuple[Node | None, list[Node]]:
    """Owner of a slot and all nodes, from CLUSTER SLOTS. Pure. No host means: the node that was asked."""

    def node(entry: list[Any]) -> Node:
        return (entry[0].decode() if entry[0] else asked[0], int(entry[1]))

    owner = next((node(part[2]) for part in reply if part[0] <= slot <= part[1]), None)
    return owner, list(dict.fromkeys(node(entry) for part in reply for entry in part[2:]))
