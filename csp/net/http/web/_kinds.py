"""What can be made of text, and what needs a body: a look at types with msgspec's eyes.

scalar    text is enough: str, int, UUID, datetime, an Enum, a Literal...
list      several of those: all values of one query parameter
body      JSON: classes with fields, mappings, and lists of those
unknown   msgspec does not know it, or it might be anything
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from msgspec import inspect as known

Kind: TypeAlias = Literal["scalar", "list", "body", "unknown"]

_SCALARS = (
    *(known.StrType, known.IntType, known.FloatType, known.BoolType, known.NoneType),
    *(known.DateTimeType, known.DateType, known.TimeType, known.TimeDeltaType),
    *(known.UUIDType, known.DecimalType, known.EnumType, known.LiteralType),
)
_BODIES = (
    *(known.StructType, known.DataclassType, known.TypedDictType),
    *(known.NamedTupleType, known.DictType, known.RawType),
)


def kind_of(annotation: Any) -> Kind:
    """Return what kind of type an annotation names."""
    try:
        return _kind_of(known.type_info(annotation))
    except Exception:
        return "unknown"


def _kind_of(info: known.Type) -> Kind:
    if isinstance(info, known.Metadata):
        return _kind_of(info.type)
    if isinstance(info, _SCALARS):
        return "scalar"
    if isinstance(info, _BODIES):
        return "body"
    if hasattr(info, "item_type"):  # of all lists and sets
        return _kind_of_items([info.item_type])
    return _kind_of_several(info)


def _kind_of_several(info: known.Type) -> Kind:
    """Return the kind of what consists of several types."""
    if isinstance(info, known.TupleType):
        return _kind_of_items(info.item_types)
    if isinstance(info, known.UnionType):
        return _kind_of_union(info.types)
    return "unknown"


def _kind_of_items(types: Any) -> Kind:
    kinds = {_kind_of(t) for t in types if not isinstance(t, known.AnyType)}
    if "unknown" in kinds:
        return "unknown"
    return "list" if kinds == {"scalar"} else "body"


def _kind_of_union(types: Any) -> Kind:
    kinds = {_kind_of(info) for info in types if not isinstance(info, known.NoneType)}
    if "unknown" in kinds:
        return "unknown"
    return kinds.pop() if len(kinds) == 1 else "body"


def split_annotated(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type and what `Annotated` says of it."""
    if get_origin(annotation) is Annotated:
        bare, *rest = get_args(annotation)
        return bare, tuple(rest)
    return annotation, ()
