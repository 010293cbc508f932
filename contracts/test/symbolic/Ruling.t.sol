// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Leases} from "../../src/Leases.sol";
import {Account, LeaseState} from "../../src/interfaces/LedgerTypes.sol";
import {Scene} from "./support/Scene.sol";

/// @title A ruling takes from a bond at most the bond, and from the lock at most the claim
contract RulingProof is Scene {
    struct Words {
        bool providerWins;
        uint48 award;
        uint48 toWinner;
        uint48 toJurors;
    }

    function check_ARulingMovesMoneyAndMakesNone(Setting memory s, Words memory w) external {
        bytes32 id = _put(s, LeaseState.Disputed);
        uint256 sum = _sum(id);
        _rule(s, w);
        assert(_sum(id) == sum);
    }

    function check_ALosingProviderLosesAtMostItsBond(Setting memory s, Words memory w) external {
        bytes32 id = _put(s, LeaseState.Disputed);
        w.providerWins = false;
        _rule(s, w);
        unchecked {
            uint256 slash = uint256(w.toWinner) + w.toJurors;
            bool right = slash <= s.order.bond;
            // No award, no minimum charge: what vouchers paid, and the bond less the slash.
            right = _and(right, ledger.readLease(id).paid == s.stored.paid);
            right = _and(right, _worth(PROVIDER) == uint256(s.provider.free) + s.provider.bonded - slash);
            right = _and(right, ledger.account(PROVIDER).bonded == s.provider.bonded - s.order.bond);
            right = _and(right, _kept(CHALLENGER, s.challenger));
            right = _and(right, _worth(ARBITER) == uint256(s.arbiter.free) + s.arbiter.bonded + w.toJurors);
            assert(right);
        }
    }

    function check_ALosingChallengerLosesAtMostItsBond(Setting memory s, Words memory w) external {
        bytes32 id = _put(s, LeaseState.Disputed);
        w.providerWins = true;
        _rule(s, w);
        unchecked {
            uint256 slash = uint256(w.toWinner) + w.toJurors;
            bool right = slash <= s.order.bond;
            right = _and(right, _worth(CHALLENGER) == uint256(s.challenger.free) + s.challenger.bonded - slash);
            right = _and(right, ledger.account(CHALLENGER).bonded == s.challenger.bonded - s.order.bond);
            // All of the provider's bond is free again, and the winner's part is added.
            uint256 gained = ledger.readLease(id).paid - s.stored.paid;
            right = _and(right, ledger.account(PROVIDER).free == s.provider.free + gained + s.order.bond + w.toWinner);
            right = _and(right, _worth(ARBITER) == uint256(s.arbiter.free) + s.arbiter.bonded + w.toJurors);
            assert(right);
        }
    }

    function check_AnAwardIsWithinClaimAndLock(Setting memory s, Words memory w) external {
        bytes32 id = _put(s, LeaseState.Disputed);
        _rule(s, w);
        unchecked {
            uint256 paid = ledger.readLease(id).paid;
            bool right = _and(s.stored.paid <= paid, paid <= s.stored.locked);
            right = _and(right, _or(w.award == 0, _and(w.providerWins, s.stored.paid + w.award <= s.claim.target)));
            // Beyond the award only the minimum charge can lift it.
            right = _and(right, _or(paid == uint256(s.stored.paid) + w.award, paid == s.order.minCharge));
            assert(right);
        }
    }

    function check_AgreementTakesNothingFromABond(Setting memory s, Words memory w) external {
        bytes32 id = _put(s, LeaseState.Claimed);
        uint256 sum = _sum(id);
        _rule(s, w);
        unchecked {
            bool right = _and(w.providerWins, _and(w.toWinner == 0, w.toJurors == 0));
            right = _and(right, _and(s.claim.revealFrom == 0, _sum(id) == sum));
            right = _and(right, _worth(PROVIDER) >= uint256(s.provider.free) + s.provider.bonded);
            right = _and(right, _and(_kept(CHALLENGER, s.challenger), _kept(ARBITER, s.arbiter)));
            assert(right);
        }
    }

    function check_ARulingWithinItsBoundsNeverFails(Setting memory s, Words memory w) external {
        _put(s, LeaseState.Disputed);
        vm.assume(s.time < s.stored.deadline);
        vm.assume(uint256(w.toWinner) + w.toJurors <= s.order.bond);
        if (!w.providerWins || s.claim.target <= s.stored.paid) w.award = 0;
        else vm.assume(w.award <= s.claim.target - s.stored.paid);
        vm.prank(ARBITER);
        (bool done,) = address(ledger)
            .call(abi.encodeCall(ledger.rule, (s.order, s.fill, w.providerWins, w.award, w.toWinner, w.toJurors)));
        assert(done);
    }

    function check_OnlyTheArbiterRulesAndInTime(Setting memory s, Words memory w, address caller) external {
        _put(s, LeaseState.Disputed);
        vm.prank(caller);
        ledger.rule(s.order, s.fill, w.providerWins, w.award, w.toWinner, w.toJurors);
        assert(caller == ARBITER && s.time < s.stored.deadline);
    }

    function check_AClosedLeaseIsNeverRuled(Setting memory s, Words memory w) external {
        _put(s, LeaseState.Closed);
        vm.prank(ARBITER);
        (bool done,) = address(ledger)
            .call(abi.encodeCall(ledger.rule, (s.order, s.fill, w.providerWins, w.award, w.toWinner, w.toJurors)));
        assert(!done);
    }

    function _rule(Setting memory s, Words memory w) private {
        vm.prank(ARBITER);
        ledger.rule(s.order, s.fill, w.providerWins, w.award, w.toWinner, w.toJurors);
    }
}
