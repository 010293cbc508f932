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
        Dispute dispute;
        Account provider;
        Account buyer;
        Account challenger;
        Account arbiter;
        uint40 time;
    }

    address internal constant PROVIDER = address(0x1001);
    address internal constant BUYER = address(0x1002);
    address internal constant CHALLENGER = address(0x1003);
    address internal constant ARBITER = address(0x1004);

    LedgerHarness internal ledger;

    function setUp() public {
        ledger = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(1), address(this))));
    }

    function _put(Setting memory s, LeaseState state) internal returns (bytes32 id) {
        s.order.buyer = BUYER;
        s.order.voucherSigner = CHALLENGER;
        s.order.arbiter = ARBITER;
        s.stored.provider = PROVIDER;
        s.stored.status = s.stored.status.withState(state);
        id = ledger.leaseId(ledger.hashOrder(s.order), s.fill);

        // What `open` checked.
        bool holds = _and(s.order.minCharge <= s.order.bond, s.order.minCharge <= s.stored.locked);
        holds = _and(holds, _and(s.order.notice <= 30 days, s.order.challengeWindow <= 30 days));
        // The invariants.
        holds = _and(holds, s.stored.paid <= s.stored.locked);
        holds = _and(holds, _and(s.provider.bonded >= s.order.bond, s.provider.openLeases != 0));
        if (state == LeaseState.Claimed || state == LeaseState.Disputed) {
            holds = _and(holds, s.claim.target <= s.stored.locked);
            ledger.setClaim(id, s.claim);
        }
        if (state == LeaseState.Disputed) {
            s.dispute.challenger = CHALLENGER;
            s.dispute.bond = s.order.bond;
            holds = _and(holds, s.challenger.bonded >= s.order.bond);
            ledger.setDispute(id, s.dispute);
        }
        ledger.setLease(id, s.stored);
        ledger.setAccount(PROVIDER, s.provider);
        ledger.setAccount(BUYER, s.buyer);
        ledger.setAccount(CHALLENGER, s.challenger);
        ledger.setAccount(ARBITER, s.arbiter);
        vm.assume(_and(holds, _sum(id) <= type(uint64).max));
        vm.warp(s.time);
    }

    /// @dev All that these four and the lease have. A deposit keeps it within 64 bits.
    function _sum(bytes32 id) internal view returns (uint256 sum) {
        unchecked {
            sum = _worth(PROVIDER) + _worth(BUYER) + _worth(CHALLENGER) + _worth(ARBITER);
            Leases.StoredLease memory stored = ledger.readLease(id);
            if (!stored.status.isClosed()) sum += stored.locked - stored.paid;
        }
    }

    /// @dev Whether the account has what it had, wherever it has it.
    function _kept(address who, Account memory before) internal view returns (bool) {
        unchecked {
            return _worth(who) == uint256(before.free) + before.bonded;
        }
    }

    function _worth(address who) internal view returns (uint256) {
        Account memory account = ledger.account(who);
        unchecked {
            return uint256(account.free) + account.bonded;
        }
    }
}
