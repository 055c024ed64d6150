"""What can go wrong in the database room. Every message is one line for a person."""


class DatabaseError(Exception):
    """The database could not do what was asked."""


class DatabaseUnreachable(DatabaseError):
    """No connection to the database can be made, or it was lost."""


class SchemaMismatch(DatabaseError):
    """The tables are not those this version of Reviewmill works with."""


class UnknownJob(DatabaseError):
    """No job has that id."""


class JobCancelled(DatabaseError):
    """The job was cancelled, so nothing of it can be run again."""


class JobPruned(DatabaseError):
    """Results of the job were deleted, so it cannot be run again."""


class JobNotOver(DatabaseError):
    """The job is still going, or is needed, so nothing of it can be deleted."""


class UnknownModel(DatabaseError):
    """No model in the registry answers to that name."""


class BadAlias(DatabaseError):
    """That cannot be an alias of a model."""


class WorseModel(DatabaseError):
    """A version is worse, on the same held-out examples, than the one whose alias it was to take."""


class NotComparable(DatabaseError):
    """Two models do not answer the same question."""


class UnknownLabel(DatabaseError):
    """A filter names a label that the model does not give."""


class UnknownColumn(DatabaseError):
    """A filter names a column that no job keeps."""


class UnknownSource(DatabaseError):
    """A filter names a source that no review is of."""


class BadCondition(DatabaseError):
    """That is no condition on a column, or on a label's probability."""


class BadFilter(DatabaseError):
    """No prediction can pass a filter, or it asks for an order or a column that there is not."""


class BadCursor(DatabaseError):
    """That does not tell where another page of this question begins."""


class CheckpointError(DatabaseError):
    """A directory is not a checkpoint that can be registered."""


class ModelMissing(DatabaseError):
    """The files of a model are not where the registry says."""


class ModelChanged(DatabaseError):
    """The files of a model are no longer those that were registered."""


class StoreUnreachable(DatabaseError):
    """The model store cannot be used now: it is away, or this machine cannot reach it. No model is to blame."""


class LeaseLost(DatabaseError):
    """The chunk, or a schedule's run, is no longer held by this attempt: its lease ran out, or it was cancelled."""


class UnknownReview(DatabaseError):
    """No review has that external id."""


class UnknownSchedule(DatabaseError):
    """No schedule has that name."""


class ScheduleExists(DatabaseError):
    """Another schedule has that name."""


class RunsOverlap(DatabaseError):
    """A run of a schedule was asked for while the one before is not over."""
