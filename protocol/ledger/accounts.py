"""Money in and out, beneficiaries, delegates, cancelled messages, epochs (SPEC "Money flow")."""

from protocol.events import (
    BeneficiarySet,
    DelegateApproved,
    Deposited,
    EpochBumped,
    MessageCancelled,
    Withdrawn,
)
from protocol.hashing import ZERO_ADDRESS, Address, keccak256
from protocol.ledger.state import (
    MAX_CREDITS,
    Call,
    Delegate,
    Done,
    Ledger,
    LedgerError,
    require,
    whole_call,
)


@whole_call
def deposit(ledger: Ledger, call: Call, account: Address, amount: int) -> None:
    """Pulls base units from the caller and credits what arrived to the account."""
    _pull(ledger, call, account, amount)


@whole_call
def deposit_with_permit(ledger: Ledger, call: Call, amount: int, permit_deadline: int, signature: bytes) -> None:
    """To the caller's own account, with an EIP-2612 permit. A permit that fails does not matter: the allowance does."""
    ledger.token.permit(call.caller, ledger.address, amount, permit_deadline, call.time, signature)
    _pull(ledger, call, call.caller, amount)


@whole_call
def deposit_with_authorization(
    ledger: Ledger,
    call: Call,
    owner: Address,
    amount: int,
    valid_after: int,
    valid_before: int,
    nonce: bytes,
    signature: bytes,
) -> None:
    """To the account of the owner, with its EIP-3009 authorisation, whoever sends it."""
    before = ledger.token.balance_of(ledger.address)
    ledger.token.receive_with_authorization(
        owner, ledger.address, amount, valid_after, valid_before, nonce, call.time, signature
    )
    _credit(ledger, owner, owner, before)


def _pull(ledger: Ledger, call: Call, account: Address, amount: int) -> None:
    require(account != ZERO_ADDRESS, LedgerError.ZERO_ADDRESS)
    before = ledger.token.balance_of(ledger.address)
    moved = ledger.token.transfer_from(ledger.address, call.caller, ledger.address, amount)
    require(moved, LedgerError.TRANSFER_FAILED)
    _credit(ledger, account, call.caller, before)


def _credit(ledger: Ledger, account: Address, sender: Address, before: int) -> None:
    """What counts is what arrived, and that all credits together stay in 64 bits."""
    held = ledger.token.balance_of(ledger.address)
    require(held > before, LedgerError.ZERO_AMOUNT)
    require(held <= MAX_CREDITS, LedgerError.AMOUNT_TOO_LARGE)
    ledger.accounts[account].free += held - before
    ledger.events.append(Deposited(account, sender, held - before))


@whole_call
def withdraw(ledger: Ledger, call: Call, account: Address, to: Address, amount: int) -> None:
    """The account's controller sends free base units of it to anybody."""
    _require_controller(ledger, call, account)
    require(to != ZERO_ADDRESS, LedgerError.ZERO_ADDRESS)
    require(amount != 0, LedgerError.ZERO_AMOUNT)
    require(amount <= ledger.accounts[account].free, LedgerError.INSUFFICIENT_FREE)
    require(ledger.token.transfer(ledger.address, to, amount), LedgerError.TRANSFER_FAILED)
    ledger.accounts[account].free -= amount
    ledger.events.append(Withdrawn(account, to, amount))


@whole_call
def set_beneficiary(ledger: Ledger, call: Call, account: Address, beneficiary: Address) -> None:
    """The controller hands the money's control over; zero gives it back to the account itself."""
    _require_controller(ledger, call, account)
    ledger.accounts[account].beneficiary = beneficiary
    ledger.events.append(BeneficiarySet(account, beneficiary))


def _require_controller(ledger: Ledger, call: Call, account: Address) -> None:
    """The beneficiary if there is one, else the account itself."""
    entry = ledger.accounts[account]
    controller = entry.beneficiary if entry.guarded else account
    require(call.caller == controller, LedgerError.NOT_CONTROLLER)


@whole_call
def approve_delegate(ledger: Ledger, call: Call, key: Address, cap: int, until: int) -> None:
    """The key may sign orders for the caller that commit at most `cap` base units, while time < until."""
    require(key != ZERO_ADDRESS, LedgerError.ZERO_ADDRESS)
    ledger.delegates[call.caller, key] = Delegate(remaining=cap, until=until)
    ledger.events.append(DelegateApproved(call.caller, key, cap, until))


@whole_call
def cancel(ledger: Ledger, call: Call, digest: bytes) -> None:
    """Voids the caller's offer or order for ever; leases that are open stay."""
    ledger.cancelled.add((call.caller, digest))
    ledger.events.append(MessageCancelled(call.caller, digest))


@whole_call
def bump_epoch(ledger: Ledger, call: Call) -> Done:
    """Voids all that the caller signed: its epoch jumps by 1 to 2⁴⁰, which nobody could foresee at signing."""
    entry = ledger.accounts[call.caller]
    who = bytes(12) + bytes.fromhex(call.caller[2:])
    seed = keccak256(call.parent_hash + call.randomness + who + entry.epoch.to_bytes(32, "big"))
    entry.epoch += 1 + int.from_bytes(seed, "big") % 2**40
    ledger.events.append(EpochBumped(call.caller, entry.epoch))
    return Done(entry.epoch)
