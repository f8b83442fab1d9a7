"""Small projects, each one way in which a change reaches a test, by theme."""

from __future__ import annotations

from . import (
    classes,
    configuration,
    data,
    early,
    fixtures,
    folders,
    functions,
    heirs,
    importing,
    imports,
    inert,
    lazy,
    loading,
    memos,
    parameters,
    plugins,
    processes,
    protocols,
    registries,
    requests,
    sessions,
    shadows,
    shared,
    signatures,
    skips,
    state,
    suites,
    surroundings,
    syntax,
    texts,
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
        importing,
        loading,
        lazy,
        texts,
        heirs,
        untold,
        functions,
        syntax,
        classes,
        protocols,
        signatures,
        unknown_names,
        values,
        shadows,
        state,
        memos,
        registries,
        fixtures,
        requests,
        shared,
        parameters,
        plugins,
        early,
        skips,
        xunit,
        suites,
        data,
        folders,
        processes,
        sessions,
        surroundings,
        configuration,
        inert,
    )
    for case in theme.CASES
)

__all__ = ["CASES", "Case", "Swap", "read_folder"]
