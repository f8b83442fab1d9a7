"""Small projects, each one way in which a change reaches a test, by theme."""

from __future__ import annotations

from . import (
    classes,
    configuration,
    data,
    fixtures,
    folders,
    functions,
    heirs,
    imports,
    inert,
    loading,
    parameters,
    plugins,
    processes,
    protocols,
    registries,
    requests,
    shadows,
    shared,
    state,
    suites,
    surroundings,
    syntax,
    unknown_names,
    untold,
    values,
    xunit,
)
from .case import Case, Swap, read_folder

CASES: tuple[Case, ...] = tuple(
    case
    for theme in (
        imports,
        loading,
        heirs,
        untold,
        functions,
        syntax,
        classes,
        protocols,
        unknown_names,
        values,
        shadows,
        state,
        registries,
        fixtures,
        requests,
        shared,
        parameters,
        plugins,
        xunit,
        suites,
        data,
        folders,
        processes,
        surroundings,
        configuration,
        inert,
    )
    for case in theme.CASES
)

__all__ = ["CASES", "Case", "Swap", "read_folder"]
