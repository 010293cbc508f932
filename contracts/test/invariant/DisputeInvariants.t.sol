// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Claim, Dispute, Lease, LeaseState, Order} from "../../src/interfaces/LedgerTypes.sol";
import {DisputeHandler} from "./DisputeHandler.sol";
import {MoneyHandler} from "./MoneyHandler.sol";

/// @dev README.md says each invariant in a sentence.
contract DisputeInvariants is Test {
    DisputeHandler private handler;
    IComputeLedger private ledger;

    function setUp() public {
        handler = new DisputeHandler();
        ledger = IComputeLedger(handler.ledgerAddress());
        bytes4[36] memory actions = [
            MoneyHandler.become.selector,
            MoneyHandler.deposit.selector,
            MoneyHandler.depositWithPermit.selector,
            MoneyHandler.depositWithAuthorization.selector,
            MoneyHandler.withdraw.selector,
            MoneyHandler.setBeneficiary.selector,
            MoneyHandler.approveDelegate.selector,
            MoneyHandler.cancel.selector,
            MoneyHandler.bumpEpoch.selector,
            DisputeHandler.redeem.selector,
            DisputeHandler.close.selector,
            DisputeHandler.resign.selector,
            DisputeHandler.resign.selector,
            DisputeHandler.acknowledge.selector,
            DisputeHandler.acknowledge.selector,
            DisputeHandler.acknowledge.selector,
            DisputeHandler.closeLast.selector,
            DisputeHandler.trespass.selector,
            DisputeHandler.rule.selector,
            DisputeHandler.rule.selector,
            // The following move the story on, so they come more often.
            DisputeHandler.open.selector,
            DisputeHandler.open.selector,
            DisputeHandler.open.selector,
            DisputeHandler.open.selector,
            DisputeHandler.claim.selector,
            DisputeHandler.claim.selector,
            DisputeHandler.claim.selector,
            DisputeHandler.claim.selector,
            DisputeHandler.challenge.selector,
            DisputeHandler.challenge.selector,
            DisputeHandler.challenge.selector,
            DisputeHandler.finalise.selector,
            DisputeHandler.finalise.selector,
            MoneyHandler.pass.selector,
            MoneyHandler.pass.selector,
            MoneyHandler.pass.selector
        ];
        bytes4[] memory selectors = new bytes4[](actions.length);
        for (uint256 i; i < actions.length; ++i) {
            selectors[i] = actions[i];
        }
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    /// tools/count_calls.py adds these up: every action under every behaviour must have been done.
    function afterInvariant() external {
        vm.writeLine("cache/invariant-calls.txt", handler.countsAsText());
    }

    /* SUMS */

    function invariant_Solvency() public view {
        assertGe(handler.tokenBalance() + handler.shortfall(), total());
    }

    function invariant_BondedIsTheStakes() public view {
        address[] memory accounts = handler.allAccounts();
        for (uint256 i; i < accounts.length; ++i) {
            assertEq(ledger.account(accounts[i]).bonded, stakes(accounts[i]));
        }
    }

    function invariant_OpenLeasesAreCounted() public view {
        uint256 counted;
        address[] memory accounts = handler.allAccounts();
        for (uint256 i; i < accounts.length; ++i) {
            counted += ledger.account(accounts[i]).openLeases;
        }
        assertEq(counted, running());
    }

    function invariant_Exit() public {
        handler.exitAll();
    }

    /* LEASES */

    function invariant_PaidIsAtMostLocked() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            Lease memory lease = leaseAt(i);
            assertLe(lease.paid, lease.locked);
        }
    }

    function invariant_PaidIsExplained() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id, uint256 order,, uint48 highest) = handler.leaseAt(i);
            Lease memory lease = ledger.lease(id);
            uint256 vouched = highest < lease.locked ? highest : lease.locked;
            assertGe(lease.paid, vouched, "less than vouchers gave");
            if (lease.state != LeaseState.Closed) assertEq(lease.paid, vouched, "more than vouchers gave");
            uint256 most = ledger.claimOf(id).target;
            if (handler.orderAt(order).minCharge > most) most = handler.orderAt(order).minCharge;
            assertLe(lease.paid, vouched > most ? vouched : most, "more than anything gave");
        }
    }

    function invariant_DisputedMeansAChallenger() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,,) = handler.leaseAt(i);
            if (ledger.lease(id).state != LeaseState.Disputed) continue;
            Dispute memory dispute = ledger.disputeOf(id);
            assertTrue(dispute.challenger != address(0));
        }
    }

    function invariant_ACommitmentHasNoTarget() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,,) = handler.leaseAt(i);
            Claim memory claim = ledger.claimOf(id);
            if (claim.revealFrom != 0) assertEq(claim.target, 0);
        }
    }

    /* ORDERS */

    function invariant_LaneBudgetBound() public view {
        for (uint256 order; order < handler.orderCount(); ++order) {
            uint8 replicas = handler.orderAt(order).replicas;
            for (uint8 lane; lane < replicas; ++lane) {
                assertLe(taken(order, lane), handler.orderAt(order).budget);
            }
        }
    }

    function invariant_OrderCostBound() public view {
        for (uint256 order; order < handler.orderCount(); ++order) {
            Order memory signed = handler.orderAt(order);
            uint256 cost = handler.feesOf(order);
            for (uint8 lane; lane < signed.replicas; ++lane) {
                cost += taken(order, lane);
            }
            assertLe(cost, uint256(signed.replicas) * signed.budget + uint256(signed.maxLeases) * signed.fee);
        }
    }

    function invariant_LanesHaveNoGap() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (, uint256 order, uint8 fill,) = handler.leaseAt(i);
            Order memory signed = handler.orderAt(order);
            if (fill < signed.replicas) continue;
            bytes32 before = ledger.leaseId(ledger.hashOrder(signed), fill - signed.replicas);
            LeaseState state = ledger.stateOf(before);
            assertTrue(state != LeaseState.None && state != LeaseState.Open);
        }
    }

    /* HEAD */

    function invariant_HeadEqualsEvents() public view {
        (uint208 hash, uint48 count) = ledger.head();
        (uint208 replayedHash, uint48 replayedCount) = handler.replayedHead();
        assertEq(count, replayedCount, "count");
        assertEq(hash, replayedHash, "hash");
    }

    /* RULES OF SINGLE CALLS, noted by the handler */

    function invariant_OpenedOnce() public view {
        assertFalse(handler.broke("opened twice"));
    }

    function invariant_LanesStayShut() public view {
        assertFalse(handler.broke("lane shut"));
    }

    function invariant_ZonesAreDistinct() public view {
        assertFalse(handler.broke("zone taken"));
    }

    function invariant_BondIsLockedAtOpen() public view {
        assertFalse(handler.broke("bond locked"));
    }

    function invariant_ClaimedOnce() public view {
        assertFalse(handler.broke("claimed twice"));
    }

    function invariant_TargetBound() public view {
        assertFalse(handler.broke("target"));
    }

    function invariant_ChallengersBondIsTheOrders() public view {
        assertFalse(handler.broke("challenger's bond"));
    }

    function invariant_RulingConserves() public view {
        assertFalse(handler.broke("ruling conserves"));
    }

    function invariant_SlashBound() public view {
        assertFalse(handler.broke("slash bound"));
    }

    function invariant_LoserGetsNoAward() public view {
        assertFalse(handler.broke("loser is paid"));
    }

    function invariant_StrangersMoveNothing() public view {
        assertFalse(handler.broke("trespass"));
    }

    function invariant_NothingReenters() public view {
        assertFalse(handler.broke("reentered"));
    }

    function invariant_PaidNeverFalls() public view {
        assertFalse(handler.broke("paid fell"));
    }

    function invariant_StatesFollowTheEdges() public view {
        assertFalse(handler.broke("edge"));
    }

    function invariant_ClosedIsFinal() public view {
        assertFalse(handler.broke("closed changed"));
    }

    function invariant_FirstCloseFixesTheReason() public view {
        assertFalse(handler.broke("reason changed"));
    }

    function invariant_BothSidesEndAtOnce() public view {
        assertFalse(handler.broke("last ends"));
    }

    function invariant_CreditIsWhatArrived() public view {
        assertFalse(handler.broke("credit"));
    }

    function invariant_WithdrawalIsExact() public view {
        assertFalse(handler.broke("withdrawn"));
    }

    function invariant_OnlyTheTokenStopsAWithdrawal() public view {
        assertFalse(handler.broke("stuck"));
    }

    function invariant_AFailedWithdrawalCostsNothing() public view {
        assertFalse(handler.broke("balance lost"));
    }

    function invariant_OnlyTheControllerMovesMoney() public view {
        assertFalse(handler.broke("controller"));
    }

    function invariant_EpochsOnlyRise() public view {
        assertFalse(handler.broke("epoch"));
    }

    function invariant_MandatesStayAsTheyWereLeft() public view {
        assertTrue(handler.mandatesHold());
        assertFalse(handler.broke("delegate"));
    }

    function invariant_EndConserves() public view {
        assertFalse(handler.broke("finalise conserves"));
    }

    function invariant_FinalPay() public view {
        assertFalse(handler.broke("final pay"));
    }

    function invariant_FinalBond() public view {
        assertFalse(handler.broke("final bond"));
    }

    /* HELP */

    function leaseAt(uint256 i) private view returns (Lease memory) {
        (bytes32 id,,,) = handler.leaseAt(i);
        return ledger.lease(id);
    }

    function total() private view returns (uint256 sum) {
        address[] memory accounts = handler.allAccounts();
        for (uint256 i; i < accounts.length; ++i) {
            sum += uint256(ledger.account(accounts[i]).free) + ledger.account(accounts[i]).bonded;
        }
        for (uint256 i; i < handler.leaseCount(); ++i) {
            Lease memory lease = leaseAt(i);
            if (lease.state != LeaseState.Closed) sum += lease.locked - lease.paid;
        }
    }

    function stakes(address who) private view returns (uint256 sum) {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id, uint256 order,,) = handler.leaseAt(i);
            Lease memory lease = ledger.lease(id);
            if (lease.state == LeaseState.Closed) continue;
            if (lease.provider == who) sum += handler.orderAt(order).bond;
            if (lease.state == LeaseState.Disputed && ledger.disputeOf(id).challenger == who) {
                sum += ledger.disputeOf(id).bond;
            }
        }
    }

    function running() private view returns (uint256 count) {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            if (leaseAt(i).state != LeaseState.Closed) ++count;
        }
    }

    /// What the fills of a lane took of its budget.
    function taken(uint256 order, uint8 lane) private view returns (uint256 sum) {
        uint8 replicas = handler.orderAt(order).replicas;
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id, uint256 of_, uint8 fill,) = handler.leaseAt(i);
            if (of_ != order || fill % replicas != lane) continue;
            Lease memory lease = ledger.lease(id);
            sum += lease.state == LeaseState.Closed ? lease.paid : lease.locked;
        }
    }
}
