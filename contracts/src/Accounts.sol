// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {EventHead} from "./EventHead.sol";
import {Account, Delegate, IComputeLedger} from "./interfaces/IComputeLedger.sol";

/// @title Accounts: money in and out, delegates, cancelled messages, epochs
abstract contract Accounts is IComputeLedger, EventHead, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev Bits of an epoch's jump: nobody can sign today for a later epoch, and 2^24 jumps fit.
    uint256 private constant EPOCH_JUMP_MASK = (1 << 40) - 1;

    IERC20 private immutable _token;

    mapping(address who => Account) internal _accounts;
    mapping(address buyer => mapping(address key => Delegate)) internal _delegates;
    mapping(address who => mapping(bytes32 digest => bool)) internal _cancelled;

    constructor(address token_) {
        // Check: the token is set.
        require(token_ != address(0), ComputeLedger_ZeroAddress());
        _token = IERC20(token_);
    }

    /* MONEY IN AND OUT */

    /// @inheritdoc IComputeLedger
    function deposit(address account_, uint256 amount) external nonReentrant {
        _deposit(account_, amount);
    }

    /// @inheritdoc IComputeLedger
    function depositWithPermit(uint256 amount, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        // Interaction: a permit that was used before us leaves the same allowance, so its failure is no reason to stop.
        try IERC20Permit(address(_token))
            .permit({
            owner: msg.sender, spender: address(this), value: amount, deadline: permitDeadline, v: v, r: r, s: s
        }) {}
            catch {}

        _deposit(msg.sender, amount);
    }

    /// @inheritdoc IComputeLedger
    function withdraw(address to, uint256 amount) external nonReentrant {
        // Check: there is somebody to send to, something to send, and enough of it.
        require(to != address(0), ComputeLedger_ZeroAddress());
        require(amount != 0, ComputeLedger_ZeroAmount());
        Account storage account_ = _accounts[msg.sender];
        uint64 free = account_.free;
        require(amount <= free, ComputeLedger_InsufficientFree(free, amount));

        // Effect: take it from the free balance.
        // forge-lint: disable-next-line(unsafe-typecast) amount <= free, which has 64 bits.
        account_.free = uint64(free - amount);
        _recordAlone({topics: 3, encoded: abi.encode(Withdrawn.selector, msg.sender, to, amount)});

        // Interaction: send it.
        require(_token.trySafeTransfer(to, amount), ComputeLedger_TransferFailed(address(_token)));
    }

    /* AUTHORITY */

    /// @inheritdoc IComputeLedger
    function approveDelegate(address key, uint64 cap, uint40 until) external nonReentrant {
        // Check: an unreadable signature recovers to address 0, which must never be a delegate.
        require(key != address(0), ComputeLedger_ZeroAddress());

        // Effect: replace what was approved before.
        _delegates[msg.sender][key] = Delegate({remaining: cap, until: until});
        _recordAlone({topics: 3, encoded: abi.encode(DelegateApproved.selector, msg.sender, key, cap, until)});
    }

    /// @inheritdoc IComputeLedger
    function cancel(bytes32 digest) external nonReentrant {
        // Effect: void the message for ever.
        _cancelled[msg.sender][digest] = true;
        _recordAlone({topics: 3, encoded: abi.encode(MessageCancelled.selector, msg.sender, digest)});
    }

    /// @inheritdoc IComputeLedger
    function bumpEpoch() external nonReentrant returns (uint64 epoch) {
        uint64 old = _accounts[msg.sender].epoch;
        bytes32 seed = keccak256(abi.encode(blockhash(block.number - 1), block.prevrandao, msg.sender, old));

        // Effect: jump.
        // forge-lint: disable-next-line(unsafe-typecast) The mask leaves 40 bits.
        epoch = old + 1 + uint64(uint256(seed) & EPOCH_JUMP_MASK);
        _accounts[msg.sender].epoch = epoch;
        _recordAlone({topics: 2, encoded: abi.encode(EpochBumped.selector, msg.sender, epoch)});
    }

    /* VIEWS */

    /// @inheritdoc IComputeLedger
    function token() external view returns (address) {
        return address(_token);
    }

    /// @inheritdoc IComputeLedger
    function account(address who) external view returns (Account memory) {
        return _accounts[who];
    }

    /// @inheritdoc IComputeLedger
    function delegate(address buyer, address key) external view returns (Delegate memory) {
        return _delegates[buyer][key];
    }

    /// @inheritdoc IComputeLedger
    function isCancelled(address who, bytes32 digest) external view returns (bool) {
        return _cancelled[who][digest];
    }

    /// @inheritdoc IComputeLedger
    function head() external view returns (uint208 hash, uint48 count) {
        Head memory head_ = _loadHead();
        return (uint208(head_.hash), uint48(head_.count));
    }

    /* INTERNAL */

    function _deposit(address account_, uint256 amount) private {
        // Check: there is somebody to credit and something to pull.
        require(account_ != address(0), ComputeLedger_ZeroAddress());
        require(amount != 0, ComputeLedger_ZeroAmount());

        // Interaction: pull the money. What counts is what arrived.
        uint256 before = _token.balanceOf(address(this));
        require(
            _token.trySafeTransferFrom(msg.sender, address(this), amount), ComputeLedger_TransferFailed(address(_token))
        );
        uint256 balance = _token.balanceOf(address(this));
        require(balance > before, ComputeLedger_ZeroAmount());

        // Check: all credits together fit in 64 bits, so no later payment can overflow an account.
        require(balance <= type(uint64).max, ComputeLedger_AmountTooLarge(type(uint64).max, balance));

        // Effect: credit it.
        uint256 received = balance - before;
        // forge-lint: disable-next-line(unsafe-typecast) received <= balance, which was checked.
        _accounts[account_].free += uint64(received);
        _recordAlone({topics: 3, encoded: abi.encode(Deposited.selector, account_, msg.sender, received)});
    }

    /// @dev For a call with a single event.
    function _recordAlone(uint256 topics, bytes memory encoded) private {
        Head memory head_ = _loadHead();
        _record({head_: head_, topics: topics, encoded: encoded});
        _storeHead(head_);
    }
}
