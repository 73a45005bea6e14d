"""Settings as tests give them: Python values under Kafka's names."""

from collections.abc import Mapping

SettingValue = str | int | float | bool

# Defaults of a test suite that a production broker does not have.
TEST_SETTINGS: Mapping[str, str] = {
    # Acknowledged from memory: acknowledged records survive `kill()`, as they are in the kernel's memory, but
    # not a power failure, which no test suite stages. False gives an fsync before each acknowledgement.
    "write.caching": "true",
}


def setting_texts(settings: Mapping[str, SettingValue]) -> dict[str, str]:
    """Returns them as configuration files have them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in settings.items()
    }


def dotted(keywords: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
    """Keywords, in which `_` stands for `.`, under Kafka's names."""
    return {name.replace("_", "."): value for name, value in keywords.items()}
