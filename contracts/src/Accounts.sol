// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {EventHead} from "./EventHead.sol";
import {Guard} from "./Guard.sol";
import {IComputeLedger} from "./interfaces/IComputeLedger.sol";
import {Account} from "./interfaces/LedgerTypes.sol";

/// @title Accounts: money in and out, and whose it is
abstract contract Accounts is IComputeLedger, EventHead, Guard {
    using SafeERC20 for IERC20;

    IERC20 private immutable _token;

    mapping(address who => Account) internal _accounts;
    mapping(address who => address) private _beneficiaries;

    constructor(address token_) {
        // Check: the token is set.
        require(token_ != address(0), ComputeLedger_ZeroAddress());
        _token = IERC20(token_);
    }

    /* MONEY IN AND OUT */

    /// @inheritdoc IComputeLedger
    function deposit(address account_, uint256 amount) external guarded {
        _pull(account_, amount);
    }

    /// @inheritdoc IComputeLedger
    function depositWithPermit(uint256 amount, uint256 permitDeadline, uint8 v, bytes32 r, bytes32 s) external guarded {
        // Interaction: a permit that was used before us leaves the same allowance, so its failure is no reason to stop.
        try IERC20Permit(address(_token))
            .permit({
            owner: msg.sender, spender: address(this), value: amount, deadline: permitDeadline, v: v, r: r, s: s
        }) {}
            catch {}

        _pull(msg.sender, amount);
    }

    /// @inheritdoc IComputeLedger
    function depositWithAuthorization(
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external guarded {
        uint256 before = _token.balanceOf(address(this));

        // Interaction: pull the money. The token pays only to its caller, so nobody can turn the authorisation elsewhere.
        IERC3009(address(_token))
            .receiveWithAuthorization({
            from: from,
            to: address(this),
            value: amount,
            validAfter: validAfter,
            validBefore: validBefore,
            nonce: nonce,
            v: v,
            r: r,
            s: s
        });

        _credit({account_: from, from: from, before: before});
    }

    /// @inheritdoc IComputeLedger
    function withdraw(address account_, address to, uint256 amount) external guarded {
        // Check: the caller controls the money, there is somebody to send to, something to send, and enough of it.
        _checkController(account_);
        require(to != address(0), ComputeLedger_ZeroAddress());
        require(amount != 0, ComputeLedger_ZeroAmount());
        Account storage stored = _accounts[account_];
        uint64 free = stored.free;
        require(amount <= free, ComputeLedger_InsufficientFree(free, amount));

        // Effect: take it from the free balance.
        // forge-lint: disable-next-line(unsafe-typecast) amount <= free, which has 64 bits.
        stored.free = uint64(free - amount);
        _recordAlone({topics: 3, encoded: abi.encode(Withdrawn.selector, account_, to, amount)});

        // Interaction: send it.
        require(_token.trySafeTransfer(to, amount), ComputeLedger_TransferFailed(address(_token)));
    }

    /// @inheritdoc IComputeLedger
    function setBeneficiary(address account_, address beneficiary_) external guarded {
        // Check: the caller controls the money.
        _checkController(account_);

        // Effect: hand it over, or back. The account's own slot says so too, where `open` reads it for nothing.
        _beneficiaries[account_] = beneficiary_;
        _accounts[account_].guarded = beneficiary_ != address(0);
        _recordAlone({topics: 3, encoded: abi.encode(BeneficiarySet.selector, account_, beneficiary_)});
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
    function beneficiary(address who) external view returns (address) {
        return _beneficiaries[who];
    }

    /// @inheritdoc IComputeLedger
    function head() external view returns (uint208 hash, uint48 count) {
        Head memory head_ = _loadHead();
        return (uint208(head_.hash), uint48(head_.count));
    }

    /* INTERNAL */

    function _checkController(address account_) private view {
        address controller = _beneficiaries[account_];
        if (controller == address(0)) controller = account_;
        require(msg.sender == controller, ComputeLedger_NotController(controller, msg.sender));
    }

    function _pull(address account_, uint256 amount) private {
        // Check: there is somebody to credit.
        require(account_ != address(0), ComputeLedger_ZeroAddress());
        uint256 before = _token.balanceOf(address(this));

        // Interaction: pull the money.
        require(
            _token.trySafeTransferFrom(msg.sender, address(this), amount), ComputeLedger_TransferFailed(address(_token))
        );

        _credit({account_: account_, from: msg.sender, before: before});
    }

    /// @dev What counts is what arrived since the balance was `before` (invariant 2).
    function _credit(address account_, address from, uint256 before) private {
        // Check: something arrived.
        uint256 balance = _token.balanceOf(address(this));
        require(balance > before, ComputeLedger_ZeroAmount());

        // Check: all credits together fit in 64 bits, so no later payment can overflow an account (invariant 1).
        require(balance <= type(uint64).max, ComputeLedger_AmountTooLarge(type(uint64).max, balance));
        uint256 received = balance - before;

        // Effect: credit it.
        // forge-lint: disable-next-line(unsafe-typecast) received <= balance, which was checked.
        _accounts[account_].free += uint64(received);
        _recordAlone({topics: 3, encoded: abi.encode(Deposited.selector, account_, from, received)});
    }

    /// @dev `free` is the low member of the slot. All credits together fit in its 64 bits (`_credit`), so nothing carries.
    function _creditFree(address who, uint48 amount) internal {
        Account storage stored = _accounts[who];
        assembly ("memory-safe") {
            sstore(stored.slot, add(sload(stored.slot), amount))
        }
    }

    /// @dev The caller has checked that `free` covers it, so nothing borrows.
    function _debitFree(address who, uint256 amount) internal {
        Account storage stored = _accounts[who];
        assembly ("memory-safe") {
            sstore(stored.slot, sub(sload(stored.slot), amount))
        }
    }

    /// @dev One more lease and its bond, in one write: free, bonded and openLeases are the three low members of the slot, so
    /// one addition moves them all. The caller has checked that free covers the bond.
    function _lockBond(address provider, uint48 bond) internal {
        Account storage stored = _accounts[provider];
        assembly ("memory-safe") {
            let delta := sub(or(shl(128, 1), shl(64, bond)), bond)
            sstore(stored.slot, add(sload(stored.slot), delta))
        }
    }

    /// @dev For a call with a single event.
    function _recordAlone(uint256 topics, bytes memory encoded) internal {
        Head memory head_ = _loadHead();
        _record({head_: head_, topics: topics, encoded: encoded});
        _storeHead(head_);
    }
}
