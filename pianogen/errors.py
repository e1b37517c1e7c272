"""The errors a caller of pianogen handles.

    PianogenError
    ├── SettingsError          pianogen.toml, or an experiment file, is wrong
    ├── DownloadError          a dataset could not be fetched from any source
    ├── ArchiveError           an archive is damaged, or holds what must not be unpacked
    ├── RejectedFileError      a file is not a performance; carries stage and reason
    ├── WorkerDiedError        a worker process died where none may
    ├── LakeError              a table or block is missing, or does not fit its schema
    ├── ContaminationError     a split did not pass the contamination gate
    ├── ShardError             a shard does not match its manifest, or a model its vocabulary
    ├── TrainingError          the training process failed or was stopped
    ├── GenerationError        tokens cannot be drawn as they are asked for
    ├── QueryError             a query cannot be run on the warehouse
    └── ListeningError         a listening test cannot be made, or votes do not belong to it

Each message says what must hold, what was found, where, and what to do.
"""


class PianogenError(Exception):
    """Base of every error that pianogen raises on purpose."""


class SettingsError(PianogenError):
    """A settings or experiment file is wrong."""


class DownloadError(PianogenError):
    """A dataset could not be fetched, from any source."""


class ArchiveError(PianogenError):
    """An archive is damaged, or holds what must not be unpacked."""


class WorkerDiedError(PianogenError):
    """A worker process died over a block, and again over the same one."""


class LakeError(PianogenError):
    """A table or block is missing from the lake, or does not fit its schema."""


class ContaminationError(PianogenError):
    """A split did not pass the contamination gate."""


class ShardError(PianogenError):
    """A shard does not match its manifest, or a model does not match the shards."""


class TrainingError(PianogenError):
    """The training process failed or was stopped."""


class GenerationError(PianogenError):
    """Tokens cannot be drawn as they are asked for."""


class QueryError(PianogenError):
    """A query cannot be run on the warehouse."""


class ListeningError(PianogenError):
    """A listening test cannot be made of what was named, or a file of votes does not belong to it."""


class RejectedFileError(PianogenError):
    """A file that is not a performance.

    Args:
        reason: one of the names in `pianogen.ingest.REASONS`.
        detail: what was found, in words.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self):
        """Two arguments survive the way back from a worker process."""
        return type(self), (self.reason, self.detail)
