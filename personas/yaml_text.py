"""YAML as the catalog's authors mean it: every key is text, and none is given twice."""

from typing import Any

import yaml


class _TextKeys(yaml.SafeLoader):
    """A safe loader without YAML's surprises in keys (`no:` is "no", `null:` is "null")."""


def _mapping(loader: _TextKeys, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "expected a plain key", key_node.start_mark)
        key = str(key_node.value)
        if key in mapping:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_TextKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(text: str) -> Any:
    """The document's value. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_TextKeys)
