"""Why the market does not send a transaction. Each says what an operator does about it."""

from protocol.errors import ChainError
from protocol.hashing import Address


class SubmissionError(ChainError):
    """Base of the refusals of this room; the intents wait."""

    code = "submission"


class CallNotAllowed(SubmissionError):
    """A call that this market never makes: a mistake in the code, or somebody else's hand in the database."""

    code = "call_not_allowed"

    def __init__(self, to: Address, selector: str) -> None:
        super().__init__(f"refused to sign a call of {selector} at {to}; look who wrote it into the database")


class BytesUnreadable(SubmissionError):
    """Stored bytes that no transaction is spelt by: somebody else's hand in the database."""

    code = "bytes_unreadable"

    def __init__(self, transaction_id: int) -> None:
        super().__init__(
            f"the stored bytes of transaction {transaction_id} are none that were signed; look who wrote them into the "
            "database, and put back those of a backup"
        )


class GasBudgetSpent(SubmissionError):
    """The day's gas is spent, or would be."""

    code = "gas_budget_spent"

    def __init__(self, budget_wei: int, spent_wei: int, needed_wei: int) -> None:
        self.budget_wei, self.spent_wei, self.needed_wei = budget_wei, spent_wei, needed_wei
        super().__init__(
            f"the day's budget is {budget_wei} wei, {spent_wei} wei are spent or promised, the next transaction may "
            f"cost {needed_wei} wei; wait for midnight UTC or raise GRIDLEASE_GAS_BUDGET_WEI"
        )


class KeyUnfunded(SubmissionError):
    """The key cannot pay for its transactions: it pauses."""

    code = "key_unfunded"

    def __init__(self, key: Address, balance_wei: int, needed_wei: int) -> None:
        self.key, self.balance_wei, self.needed_wei = key, balance_wei, needed_wei
        super().__init__(
            f"{key} has {balance_wei} wei, its transactions may cost {needed_wei} wei; send it the chain's coin"
        )


class GasTooDear(SubmissionError):
    """The next block costs more than the cap."""

    code = "gas_too_dear"

    def __init__(self, base_fee_wei: int, cap_wei: int) -> None:
        self.base_fee_wei, self.cap_wei = base_fee_wei, cap_wei
        super().__init__(
            f"a unit of gas costs {base_fee_wei} wei, the cap is {cap_wei} wei; wait or raise GRIDLEASE_FEE_CAP_WEI"
        )
