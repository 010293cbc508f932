// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Leases} from "../../src/Leases.sol";
import {Account, EndReason, LeaseState} from "../../src/interfaces/LedgerTypes.sol";
import {LeaseStatuses} from "../../src/libraries/LeaseStatus.sol";
import {Scene} from "./support/Scene.sol";

/// @title A ruling takes from a bond at most the bond, and from the lock at most the claim; it moves money and makes none
contract RulingProof is Scene {
    struct Words {
        uint48 award;
        uint48 toWinner;
        uint48 toJurors;
    }

    function check_ALosingProviderLosesAtMostItsBond(Setting memory s, Words memory w) external {
        bytes32 id = _put(s, LeaseState.Disputed);
        _rule(s, w, ARBITER, false);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            uint256 slash = uint256(w.toWinner) + w.toJurors;
            bool right = _and(slash <= s.order.bond, w.award == 0);
            // What vouchers paid stays, and the bond is free again less the slash.
            right = _and(right, _and(after_.paid == s.stored.paid, after_.status.isClosed()));
            s.accounts[P].free += s.order.bond - uint64(slash);
            s.accounts[P].bonded -= s.order.bond;
            s.accounts[P].openLeases -= 1;
            s.accounts[B].free += uint64(s.stored.locked - s.stored.paid) + w.toWinner;
            s.accounts[C].free += s.order.bond;
            s.accounts[C].bonded -= s.order.bond;
            s.accounts[A].free += w.toJurors;
            assert(_and(right, _sameAll(accounts, s.accounts)));
        }
    }

    function check_ALosingChallengerLosesAtMostItsBond(Setting memory s, Words memory w) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Disputed, EndReason.Claimed);
        bytes32 id = _put(s, LeaseState.Disputed);
        _rule(s, w, ARBITER, true);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            bool right = after_.paid == s.stored.paid + w.award;
            right = _and(right, _or(w.award == 0, after_.paid <= s.claim.target));
            _assertProviderWon(s, w, after_, accounts, right);
        }
    }

    /// As above, but the buyer's side had ended the lease, so the minimum charge is due besides.
    function check_ALosingChallengerThatEndedTheLeaseLosesAtMostItsBond(Setting memory s, Words memory w) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Disputed, EndReason.Unresponsive).withEarly();
        bytes32 id = _put(s, LeaseState.Disputed);
        _rule(s, w, ARBITER, true);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            uint256 paid = uint256(s.stored.paid) + w.award;
            bool right = after_.paid == (paid < s.order.minCharge ? s.order.minCharge : paid);
            right = _and(right, _or(w.award == 0, paid <= s.claim.target));
            _assertProviderWon(s, w, after_, accounts, right);
        }
    }

    function _assertProviderWon(
        Setting memory s,
        Words memory w,
        Leases.StoredLease memory after_,
        Account[4] memory accounts,
        bool right
    ) private pure {
        unchecked {
            uint256 slash = uint256(w.toWinner) + w.toJurors;
            right = _and(right, _and(slash <= s.order.bond, after_.paid <= s.stored.locked));
            // All of the provider's bond is free again, and the winner's part is added.
            uint64 paid = after_.paid - s.stored.paid;
            s.accounts[P].free += paid + s.order.bond + w.toWinner;
            s.accounts[P].bonded -= s.order.bond;
            s.accounts[P].openLeases -= 1;
            s.accounts[B].free += s.stored.locked - after_.paid;
            s.accounts[C].free += s.order.bond - uint64(slash);
            s.accounts[C].bonded -= s.order.bond;
            s.accounts[A].free += w.toJurors;
            assert(_and(right, _sameAll(accounts, s.accounts)));
        }
    }

    function check_AgreementTakesNothingFromABond(Setting memory s, Words memory w, bool providerWins) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Claimed, EndReason.Claimed);
        bytes32 id = _put(s, LeaseState.Claimed);
        _rule(s, w, ARBITER, providerWins);
        (Leases.StoredLease memory after_, Account[4] memory accounts) = _look(id);
        unchecked {
            bool right = _and(providerWins, _and(w.toWinner == 0, w.toJurors == 0));
            right = _and(right, s.claim.revealFrom == 0);
            right = _and(right, after_.paid == s.stored.paid + w.award);
            right = _and(right, _or(w.award == 0, after_.paid <= s.claim.target));
            s.accounts[P].free += uint64(w.award) + s.order.bond;
            s.accounts[P].bonded -= s.order.bond;
            s.accounts[P].openLeases -= 1;
            s.accounts[B].free += s.stored.locked - after_.paid;
            assert(_and(right, _sameAll(accounts, s.accounts)));
        }
    }

    function check_ARulingAgainstTheProviderNeverFails(Setting memory s, Words memory w) external {
        _put(s, LeaseState.Disputed);
        _assumeSolvent(s);
        w.award = 0;
        _assertRules(s, w, false);
    }

    function check_ARulingForTheProviderNeverFails(Setting memory s, Words memory w) external {
        s.stored.status = LeaseStatuses.pack(LeaseState.Disputed, EndReason.Claimed);
        _put(s, LeaseState.Disputed);
        _assumeSolvent(s);
        vm.assume(uint256(s.stored.paid) + w.award <= s.claim.target);
        _assertRules(s, w, true);
    }

    function _assertRules(Setting memory s, Words memory w, bool providerWins) private {
        vm.assume(_and(s.time < s.stored.deadline, uint256(w.toWinner) + w.toJurors <= s.order.bond));
        assert(_tryRule(s, w, providerWins));
    }

    function check_OnlyTheArbiterRulesAndInTime(Setting memory s, Words memory w, address caller) external {
        _put(s, LeaseState.Disputed);
        _rule(s, w, caller, false);
        assert(_and(caller == ARBITER, s.time < s.stored.deadline));
    }

    function check_AClosedLeaseIsNeverRuled(Setting memory s, Words memory w) external {
        _put(s, LeaseState.Closed);
        assert(!_tryRule(s, w, true));
    }

    function _rule(Setting memory s, Words memory w, address caller, bool providerWins) private {
        vm.prank(caller);
        ledger.rule(s.order, s.fill, providerWins, w.award, w.toWinner, w.toJurors);
    }

    function _tryRule(Setting memory s, Words memory w, bool providerWins) private returns (bool done) {
        bytes memory call =
            abi.encodeCall(ledger.rule, (s.order, s.fill, providerWins, w.award, w.toWinner, w.toJurors));
        vm.prank(ARBITER);
        (done,) = address(ledger).call(call);
    }
}
