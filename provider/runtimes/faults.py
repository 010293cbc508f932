"""What can go wrong with a job that is no result of it, each with what to change.

ProtocolError
├── ModuleRefused        the buyer's module breaks a rule of the runtime: refused before it starts
└── CheckpointRefused    a checkpoint file is not the state it should be
GridleaseError
└── ProviderFault        this machine failed; the job has no result and nobody is billed for one
"""

from protocol.errors import GridleaseError, ProtocolError


class ModuleRefused(ProtocolError):
    """A module that this runtime does not start."""

    code = "module_refused"

    def __init__(self, rule: str, fact: str, remedy: str) -> None:
        #: short name of the broken rule, such as `import`
        self.rule = rule
        self.fact = fact
        self.remedy = remedy
        super().__init__(f"module refused ({rule}): {fact}; {remedy}")


class CheckpointRefused(ProtocolError):
    """Bytes that are not the checkpoint of this job after this segment."""

    code = "checkpoint_refused"

    def __init__(self, fact: str) -> None:
        self.fact = fact
        super().__init__(f"checkpoint refused: {fact}; fetch it again, or resume from the one before")


class ProviderFault(GridleaseError):
    """The machine, not the job, stopped the run: another machine may succeed."""

    code = "provider_fault"

    def __init__(self, fact: str, remedy: str) -> None:
        self.fact = fact
        self.remedy = remedy
        super().__init__(f"{fact}; {remedy}")
