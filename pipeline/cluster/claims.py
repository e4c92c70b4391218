"""Claims of orders: which node carries out what people have asked for, so that one alone does.

An order that is to deliver again goes to the node that delivered first, as long as it is alive: it
has the copy. What a node has claimed that is not alive any more goes to whoever asks next.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.cluster.database import Connection
from pipeline.cluster.nodes import ALIVE
from pipeline.ledger.orders import REDELIVER


def claim(connection: Connection, node: str, numbers: Sequence[int]) -> set[int]:
    """Claim open orders, by their numbers; those that are this node's by now."""
    connection.execute(
        "DELETE FROM cluster_orders c USING orders o"
        " WHERE o.number = c.number AND o.ended_at IS NOT NULL"
    )
    rows = connection.execute(
        "INSERT INTO cluster_orders AS c (number, node) SELECT o.number, %(node)s FROM orders o"  # noqa: S608 - constants only
        " WHERE o.number = ANY (%(numbers)s) AND o.ended_at IS NULL AND NOT EXISTS ("
        "  SELECT 1 FROM documents d JOIN cluster_nodes n ON n.node = split_part(d.node, '/', 1)"
        f"  WHERE o.verb = '{REDELIVER}' AND d.source = o.source AND d.id = o.id"
        f"  AND d.revision = o.revision AND n.node <> %(node)s AND {ALIVE}"
        ") ORDER BY o.number ON CONFLICT (number) DO UPDATE SET node = excluded.node"
        " WHERE c.node = excluded.node OR NOT EXISTS ("
        f"  SELECT 1 FROM cluster_nodes n WHERE n.node = c.node AND {ALIVE}) RETURNING number",
        {"node": node, "numbers": list(numbers)},
    ).fetchall()
    return {row[0] for row in rows}


def alive(connection: Connection) -> list[str]:
    """The nodes that are alive; none where there is no cluster yet."""
    there = connection.execute("SELECT to_regclass('cluster_nodes')").fetchone()
    if there is None or there[0] is None:
        return []
    rows = connection.execute(f"SELECT n.node FROM cluster_nodes n WHERE {ALIVE} ORDER BY 1")  # noqa: S608 - a constant
    return [row[0] for row in rows]
