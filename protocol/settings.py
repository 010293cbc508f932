"""Where every room's settings come from: the environment, else a folder with a file for each, else their defaults.

The folder is for what an environment should not hold, such as a database's password: container platforms mount secrets
so. GRIDLEASE_SETTINGS_DIR names it; a file is named like its variable, in any case, and holds the value alone.
"""

import os
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from protocol.errors import GridleaseError

PREFIX: Final = "GRIDLEASE_"
FOLDER_VARIABLE: Final = f"{PREFIX}SETTINGS_DIR"


class SettingsFolderMissing(GridleaseError):
    """The folder with the settings' files is not there."""

    code = "settings_folder_missing"

    def __init__(self, folder: str) -> None:
        self.remedy = f"mount it, or unset {FOLDER_VARIABLE}"
        super().__init__(f"{FOLDER_VARIABLE} names {folder}, which is no folder; {self.remedy}")


class RoomSettings(BaseSettings):
    """Settings of one room. Other rooms' variables are theirs to check."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed wins over the environment, and that over files."""
        return (init_settings, env_settings, *file_source(settings_cls))


def file_source(settings_cls: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
    """The folder's, if one is named; raises `SettingsFolderMissing`."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return ()
    if not Path(folder).is_dir():
        raise SettingsFolderMissing(folder)
    return (SecretsSettingsSource(settings_cls, secrets_dir=folder),)
