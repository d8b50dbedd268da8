"""`identities derivative`: the book's closed form for the derivative of a function, in the letters of the one who asks.

The function is recognised by its values, up to renamed and transposed operands, units, a factor and an added constant;
the answer is verified by differences.  Exit code 1 where the book does not know the function.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from identities.commandline.check import natural

if TYPE_CHECKING:
    from identities.statements.recognising import Answer, Hit

OTHERS = 3
RIGHT = "the right side of the claim, in these letters:"


def add_commands(commands: Any) -> None:
    p = commands.add_parser(
        "derivative", help="the book's closed form for the derivative of a function", description=__doc__
    )
    p.add_argument("function", metavar="FUNCTION", help='in plain text, LaTeX or Unicode, for instance "tr(A*X\'*B)"')
    p.add_argument("--wrt", required=True, metavar="LETTER", help="the letter to differentiate by")
    p.add_argument(
        "--operand", action="append", default=[], metavar="'W: Symmetric n n'", help="what a letter is (repeatable)"
    )
    p.add_argument(
        "--let", action="append", default=[], metavar="'r = A*x - b'", help="what a letter stands for (repeatable)"
    )
    p.add_argument("--seed", type=natural, default=0, help="seed of the draws (default 0)")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from identities.statements.recognising import derivative

    answer = derivative(options.function, options.wrt, options.operand, let=options.let, seed=options.seed)
    if options.json:
        hits = [hit.to_json() for hit in answer.hits]
        data = {"ok": bool(hits), "function": answer.text, "wrt": answer.wrt, "hits": hits, "letters": answer.letters}
        data["cut"] = answer.cut
        print(json.dumps(data, indent=1))
    else:
        print(page(answer))
    return 0 if answer else 1


def page(answer: Answer) -> str:
    """The best hit in full, the others in a line each; or that the book does not know."""
    if not answer:
        tried = "of those that were tried in time, " if answer.cut else ""
        return (
            f"not known: {tried}no identity of the book is {answer.text} as a function of {answer.wrt}, up to renamed, "
            f"transposed and unit operands, a factor and an added term\nletters    {'; '.join(answer.letters)}"
        )
    best, *others = answer.hits
    lines = [f"d/d{answer.wrt} {answer.text}", "", f"    = {best.closed_form or RIGHT}", ""]
    lines += [*known_as(best, answer.wrt), f"letters    {'; '.join(answer.letters)}"]
    lines.append(f"verified   differences agree to {best.worst:.1e} of its size, in {best.draws} draws")
    if others:
        lines.append("also")
        width = max(len(hit.claim) for hit in others[:OTHERS])
        lines += [f"  {hit.claim:<{width}}  {hit.closed_form or 'its right side'}" for hit in others[:OTHERS]]
    return "\n".join(lines)


def known_as(hit: Hit, wrt: str) -> list[str]:
    """Which claim it is, with what its operands stand for."""
    from identities.engine.unicode import plain

    if hit.parts:
        return [line for part in hit.parts for line in known_as(part, wrt)]
    lines = [f"known as   {hit.claim}: {plain(hit.statement)}"]
    renamed = [f"{name} = {text}" for name, text in hit.operands.items() if name != text]
    if renamed:
        lines.append(f"with       {', '.join(renamed)}")
    if hit.factor != 1 or hit.constant:
        from identities.engine.diagnosis import say_number

        times = f"{say_number(hit.factor)} times " if hit.factor != 1 else ""
        added = f" plus a term without {wrt}" if hit.constant else ""
        lines.append(f"           the function is {times}that of the claim{added}")
    if hit.conditions:
        lines.append(f"where      {'; '.join(hit.conditions)}")
    lines.append(f"sources    {', '.join(hit.sources)}")
    return lines
