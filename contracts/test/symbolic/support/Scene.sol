// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Leases} from "../../../src/Leases.sol";
import {Account, Claim, Dispute, LeaseState, Order} from "../../../src/interfaces/LedgerTypes.sol";
import {LedgerHarness} from "./LedgerHarness.sol";
import {Symbolic} from "./Symbolic.sol";

/// @title One lease in any state, with everybody who has to do with it
/// @dev What is assumed of a scene are the invariants of test/invariant/README.md and what `open` checks of an order;
/// all else is any value of its width. The roles are four accounts; the fuzzing has those where one account plays several.
abstract contract Scene is Symbolic {
    struct Setting {
        Order order;
        uint8 fill;
        Leases.StoredLease stored;
        Claim claim;
        bytes32 receipt;
        Account[4] accounts;
        uint40 time;
    }

    address internal constant PROVIDER = address(0x1001);
    address internal constant BUYER = address(0x1002);
    address internal constant CHALLENGER = address(0x1003);
    address internal constant ARBITER = address(0x1004);

    /// Places in the lists of accounts.
    uint256 internal constant P = 0;
    uint256 internal constant B = 1;
    uint256 internal constant C = 2;
    uint256 internal constant A = 3;

    LedgerHarness internal ledger;

    function setUp() public {
        ledger = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(1), address(this))));
    }

    /// @dev The challenger is the order's voucher signer.
    function _put(Setting memory s, LeaseState state) internal returns (bytes32 id) {
        s.order.buyer = BUYER;
        s.order.voucherSigner = CHALLENGER;
        s.order.arbiter = ARBITER;
        s.stored.provider = PROVIDER;
        s.stored.status = s.stored.status.withState(state);
        id = ledger.idOf(s.order, s.fill);

        // What `open` checked.
        bool holds = _and(s.order.minCharge <= s.order.bond, s.order.minCharge <= s.stored.locked);
        holds = _and(holds, _and(s.order.notice <= 30 days, s.order.challengeWindow <= 30 days));
        // The invariants.
        holds = _and(holds, s.stored.paid <= s.stored.locked);
        holds = _and(holds, _and(s.accounts[P].bonded >= s.order.bond, s.accounts[P].openLeases != 0));
        Dispute memory dispute;
        if (state == LeaseState.Disputed) {
            dispute = Dispute({challenger: CHALLENGER, bond: s.order.bond, receipt: s.receipt});
            holds = _and(holds, s.accounts[C].bonded >= s.order.bond);
        }
        if (state == LeaseState.Claimed || state == LeaseState.Disputed) {
            holds = _and(holds, s.claim.target <= s.stored.locked);
        } else {
            delete s.claim;
        }
        vm.assume(holds);
        ledger.put(id, s.stored, s.claim, dispute, _roles(), s.accounts);
        vm.warp(s.time);
    }

    function _look(bytes32 id) internal view returns (Leases.StoredLease memory stored, Account[4] memory accounts) {
        return ledger.look(id, _roles());
    }

    function _roles() internal pure returns (address[4] memory) {
        return [PROVIDER, BUYER, CHALLENGER, ARBITER];
    }

    /// @dev All credits together fit in 64 bits: `_credit` refuses the deposit that would break it.
    function _assumeSolvent(Setting memory s) internal pure {
        unchecked {
            uint256 sum = s.stored.locked;
            for (uint256 i; i < 4; ++i) {
                sum += uint256(s.accounts[i].free) + s.accounts[i].bonded;
            }
            vm.assume(sum <= type(uint64).max);
        }
    }

    /// @dev Compares exactly. Where what is added and taken in `expected` adds up, no money was made or lost.
    function _sameAll(Account[4] memory a, Account[4] memory b) internal pure returns (bool) {
        return _and(_and(_same(a[P], b[P]), _same(a[B], b[B])), _and(_same(a[C], b[C]), _same(a[A], b[A])));
    }

    function _same(Account memory a, Account memory b) private pure returns (bool) {
        bool money = _and(a.free == b.free, a.bonded == b.bonded);
        return _and(money, _and(a.openLeases == b.openLeases, _and(a.epoch == b.epoch, a.guarded == b.guarded)));
    }
}
