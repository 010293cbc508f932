"""Options that several commands share: written once as the fields of a dataclass, spread out where typer looks."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, get_type_hints

_Command = Callable[..., None]


def takes(**groups: type) -> Callable[[_Command], _Command]:
    """`@takes(wallet=WalletOptions)`: a command with one option for each field, in the place of its parameter `wallet`.

    Each field is `Annotated[…, typer.Option(…)]` with a default.
    """
    options = {name: _options(group) for name, group in groups.items()}

    def spread(command: _Command) -> _Command:
        own = inspect.signature(command)
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for one in own.parameters.values()
            for parameter in options.get(one.name, [one])
        ]

        @wraps(command)
        def with_options(**given: Any) -> None:
            made = {
                name: group(**{option.name: given.pop(option.name) for option in options[name]})
                for name, group in groups.items()
            }
            command(**made, **given)

        with_options.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return spread


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
