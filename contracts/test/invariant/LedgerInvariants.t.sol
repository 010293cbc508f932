// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Lease, LeaseState, Order} from "../../src/interfaces/LedgerTypes.sol";
import {Handler} from "./Handler.sol";

/// @dev README.md says each invariant in a sentence.
contract LedgerInvariants is Test {
    Handler private handler;
    IComputeLedger private ledger;

    function setUp() public {
        handler = new Handler();
        ledger = IComputeLedger(handler.ledgerAddress());
        bytes4[19] memory actions = [
            Handler.deposit.selector,
            Handler.withdraw.selector,
            Handler.approveDelegate.selector,
            Handler.cancelOrder.selector,
            Handler.bumpEpoch.selector,
            Handler.openAnything.selector,
            Handler.redeemForged.selector,
            Handler.close.selector,
            Handler.closeLast.selector,
            Handler.finalise.selector,
            // The following move the story on, so they come more often.
            Handler.close.selector,
            Handler.openNext.selector,
            Handler.openNext.selector,
            Handler.openNext.selector,
            Handler.failOver.selector,
            Handler.failOver.selector,
            Handler.redeem.selector,
            Handler.redeem.selector,
            Handler.pass.selector
        ];
        bytes4[] memory selectors = new bytes4[](actions.length);
        for (uint256 i; i < actions.length; ++i) {
            selectors[i] = actions[i];
        }
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    /* MONEY */

    function invariant_Solvency() public view {
        assertEq(handler.tokenBalance(), totalFree() + totalHeld());
    }

    function invariant_Conservation() public view {
        assertEq(handler.deposited() - handler.withdrawn(), totalFree() + totalHeld());
    }

    function invariant_Exit() public {
        handler.exitAll();
        assertEq(handler.tokenBalance(), 0, "balance");
        assertEq(totalFree() + totalHeld(), 0, "accounts");
    }

    function invariant_PaidIsAtMostLocked() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,,) = handler.leaseAt(i);
            Lease memory lease = ledger.lease(id);
            assertLe(lease.paid, lease.locked);
        }
    }

    function invariant_PaidIsTheHighestVoucher() public view {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,, uint48 highest) = handler.leaseAt(i);
            Lease memory lease = ledger.lease(id);
            assertEq(lease.paid, highest < lease.locked ? highest : lease.locked);
        }
    }

    /* LEASES */

    function invariant_PaidNeverFalls() public view {
        assertFalse(handler.paidFell());
    }

    function invariant_ClosedIsFinal() public view {
        assertFalse(handler.closedChanged());
    }

    function invariant_StatesOnlyMoveOn() public view {
        assertFalse(handler.stateWentBack());
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,,) = handler.leaseAt(i);
            LeaseState state = ledger.lease(id).state;
            assertTrue(state == LeaseState.Open || state == LeaseState.Closing || state == LeaseState.Closed);
        }
    }

    function invariant_OpenLeasesAreCounted() public view {
        address[] memory accounts = handler.allAccounts();
        for (uint256 i; i < accounts.length; ++i) {
            assertEq(ledger.account(accounts[i]).openLeases, served(accounts[i]));
        }
    }

    function invariant_CapacityBound() public view {
        address[] memory accounts = handler.allAccounts();
        for (uint256 i; i < accounts.length; ++i) {
            // Every offer has this capacity.
            assertLe(ledger.account(accounts[i]).openLeases, 3);
        }
    }

    /* ORDERS */

    function invariant_BudgetBound() public view {
        for (uint256 i; i < handler.orderCount(); ++i) {
            assertLe(taken(i), handler.orderAt(i).budget);
        }
    }

    function invariant_OrderCostBound() public view {
        for (uint256 i; i < handler.orderCount(); ++i) {
            Order memory order = handler.orderAt(i);
            assertLe(taken(i) + handler.feesOf(i), uint256(order.budget) + uint256(order.maxLeases) * order.fee);
        }
    }

    function invariant_FillsFollowEachOther() public view {
        for (uint256 i; i < handler.orderCount(); ++i) {
            uint8 fills = handler.fills(i);
            assertLe(fills, handler.orderAt(i).maxLeases, "max leases");
            for (uint8 fill; fill < 5; ++fill) {
                bool exists = ledger.lease(handler.leaseIdOf(i, fill)).state != LeaseState.None;
                assertEq(exists, fill < fills, "gap");
                // A predecessor can still be closed by an agreed last voucher, but it never runs beside its successor.
                if (fill + 1 < fills) {
                    assertTrue(ledger.stateOf(handler.leaseIdOf(i, fill)) != LeaseState.Open, "two at once");
                }
            }
        }
    }

    function invariant_DelegateCapBound() public view {
        for (uint256 b; b < 3; ++b) {
            uint256 committed;
            address buyer = handler.buyersAt(b);
            for (uint256 i; i < handler.orderCount(); ++i) {
                Order memory order = handler.orderAt(i);
                if (order.buyer != buyer || !handler.signedByDelegate(i)) continue;
                committed += taken(i) + handler.feesOf(i);
            }
            assertLe(committed, handler.approvedCaps(buyer));
        }
    }

    function invariant_DelegateIsChargedOnce() public view {
        for (uint256 b; b < 3; ++b) {
            address buyer = handler.buyersAt(b);
            assertEq(ledger.delegate(buyer, handler.delegateAddress()).remaining, handler.remainingCap(buyer));
        }
    }

    /* HEAD */

    function invariant_HeadEqualsEvents() public view {
        (uint208 hash, uint48 count) = ledger.head();
        (uint208 replayedHash, uint48 replayedCount) = handler.replayedHead();
        assertEq(count, replayedCount, "count");
        assertEq(hash, replayedHash, "hash");
    }

    /* SUMS */

    function totalFree() private view returns (uint256 sum) {
        address[] memory accounts = handler.allAccounts();
        for (uint256 i; i < accounts.length; ++i) {
            sum += ledger.account(accounts[i]).free;
        }
    }

    function totalHeld() private view returns (uint256 sum) {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,,) = handler.leaseAt(i);
            Lease memory lease = ledger.lease(id);
            if (lease.state != LeaseState.Closed) sum += lease.locked - lease.paid;
        }
    }

    function served(address provider) private view returns (uint256 count) {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id,,,) = handler.leaseAt(i);
            Lease memory lease = ledger.lease(id);
            if (lease.provider == provider && lease.state != LeaseState.Closed) ++count;
        }
    }

    /// What the fills of an order took of its budget.
    function taken(uint256 order) private view returns (uint256 sum) {
        for (uint256 i; i < handler.leaseCount(); ++i) {
            (bytes32 id, uint256 of_,,) = handler.leaseAt(i);
            if (of_ != order) continue;
            Lease memory lease = ledger.lease(id);
            sum += lease.state == LeaseState.Closed ? lease.paid : lease.locked;
        }
    }
}
