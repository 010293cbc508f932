// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {EndReason, LeaseState, Offer, Order} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract RuleTest is LedgerTest {
    /// Claimed in all cases: 15 dollars.
    uint64 private constant WORK = 300e12;
    uint48 private constant TARGET = 15e6;
    /// Free and locked of the buyer after open.
    uint64 private constant BUYER = 1_000e6 - FEE;

    Order private order;
    bytes32 private lease;

    function setUp() public override {
        super.setUp();
        order = aBondedOrder();
        lease = openBonded(order);
    }

    /* WHO, WHEN, WHAT */

    function test_RevertWhen_WrongOrder() public {
        dispute();
        order.salt += 1;
        bytes32 wrong = leaseOf(order, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_WrongOrder.selector, wrong));
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
    }

    function test_RevertWhen_NotArbiter() public {
        dispute();
        address[4] memory others = [buyer.addr, provider.addr, matcher, stranger];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IComputeLedger.ComputeLedger_NotArbiter.selector, arbiter, others[i])
            );
            ruleAs(others[i], order, true, [uint48(0), 0, 0]);
        }
    }

    function test_RevertWhen_TooLate() public {
        dispute();
        uint256 deadline = block.timestamp + ARBITER_TIME;
        for (uint256 i; i < 2; ++i) {
            vm.warp(deadline + i);
            expectDeadlinePassed(deadline);
            ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        }
        vm.warp(deadline - 1);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        assertState(lease, LeaseState.Closed);
    }

    function test_RevertWhen_NothingToDecide() public {
        expectRefused(LeaseState.Open, true, 0, 0);
        closeAs(matcher, order, EndReason.Faulty);
        expectRefused(LeaseState.Closing, true, 0, 0);
        commitAs(provider, order, 0, "salt");
        expectRefused(LeaseState.Claimed, true, 0, 0);
        vm.warp(block.timestamp + WINDOW / 2);
        revealAs(provider, order, 0, aClaim(WORK), "salt");
        // Without a dispute nobody can lose, nor pay.
        expectRefused(LeaseState.Claimed, false, 0, 0);
        expectRefused(LeaseState.Claimed, true, 1, 0);
        expectRefused(LeaseState.Claimed, true, 0, 1);
        ruleAs(arbiter, order, true, [TARGET, 0, 0]);
        expectRefused(LeaseState.Closed, true, 0, 0);
    }

    /* BOUNDS */

    function test_RevertWhen_TheAwardIsMoreThanTheClaimLeaves() public {
        redeem(aVoucher(lease, 4e6, false));
        dispute();
        redeem(aVoucher(lease, 6e6, false));
        expectTooLarge({maximum: TARGET - 6e6, amount: TARGET - 6e6 + 1});
        ruleAs(arbiter, order, true, [TARGET - 6e6 + 1, 0, 0]);
        expectTooLarge({maximum: TARGET - 6e6, amount: type(uint48).max});
        ruleAs(arbiter, order, true, [type(uint48).max, 0, 0]);
        ruleAs(arbiter, order, true, [TARGET - 6e6, 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, true, TARGET);
    }

    function test_RevertWhen_ALoserIsAwarded() public {
        dispute();
        expectTooLarge({maximum: 0, amount: 1});
        ruleAs(arbiter, order, false, [uint48(1), 0, 0]);
    }

    function test_RevertWhen_AReceiptIsAwarded() public {
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        expectTooLarge({maximum: 0, amount: 1});
        ruleAs(arbiter, order, true, [uint48(1), 0, 0]);
    }

    function test_RevertWhen_ADisputedCommitmentIsAwarded() public {
        commitAs(provider, order, 0, "salt");
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        expectTooLarge({maximum: 0, amount: 1});
        ruleAs(arbiter, order, true, [uint48(1), 0, 0]);
    }

    function test_RevertWhen_MoreThanABondIsTaken() public {
        dispute();
        for (uint256 i; i < 2; ++i) {
            bool providerWins = i == 0;
            expectTooLarge({maximum: BOND, amount: BOND + 1});
            ruleAs(arbiter, order, providerWins, [uint48(0), BOND, 1]);
            expectTooLarge({maximum: BOND, amount: BOND + 1});
            ruleAs(arbiter, order, providerWins, [uint48(0), 0, BOND + 1]);
            uint256 most = type(uint48).max;
            expectTooLarge({maximum: BOND, amount: 2 * most});
            ruleAs(arbiter, order, providerWins, [uint48(0), uint48(most), uint48(most)]);
        }
        ruleAs(arbiter, order, false, [uint48(0), BOND - 1, 1]);
        assertMoney(provider.addr, 9 * BOND, 0);
    }

    /* THE PROVIDER WINS */

    function test_ProviderWins() public {
        dispute();
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled({
            lease: lease,
            arbiter: arbiter,
            challenger: buyer.addr,
            providerWins: true,
            award: 9e6,
            toWinner: 3e6,
            toJurors: 2e6,
            returned: BOND - 5e6
        });
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosed({
            lease: lease,
            buyer: buyer.addr,
            provider: provider.addr,
            reason: EndReason.Claimed,
            paid: 9e6,
            refunded: LOCK - 9e6,
            penalty: 0,
            returned: BOND,
            done: true
        });
        ruleAs(arbiter, order, true, [uint48(9e6), 3e6, 2e6]);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, true, 9e6);
        assertMoney(provider.addr, 10 * BOND + 9e6 + 3e6, 0);
        assertMoney(buyer.addr, BUYER - 9e6 - 5e6, 0);
        assertMoney(arbiter, 2e6, 0);
        assertEq(ledger.account(provider.addr).openLeases, 0, "open leases");
    }

    function test_ProviderWinsAgainstTheVoucherSigner() public {
        claimAs(provider, order, 0, aClaim(WORK));
        fund(voucherSigner.addr, BOND);
        challengeAs(voucherSigner.addr, order, 0);
        ruleAs(arbiter, order, true, [uint48(0), BOND, 0]);
        assertMoney(voucherSigner.addr, 0, 0);
        assertMoney(provider.addr, 11 * BOND, 0);
        assertMoney(buyer.addr, BUYER, 0);
    }

    function test_ProviderThatWinsIsToppedUpAfterAnEarlyEnd() public {
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Faulty, false, MIN_CHARGE);
        assertMoney(provider.addr, 10 * BOND + MIN_CHARGE, 0);
        assertMoney(buyer.addr, BUYER - MIN_CHARGE, 0);
    }

    function test_ProviderThatWinsWasThere() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        assertMoney(provider.addr, 10 * BOND + MIN_CHARGE, 0);
    }

    function test_ProviderThatWinsIsNotToppedUpWithoutAnEarlyEnd() public {
        dispute();
        ruleAs(arbiter, order, true, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, true, 0);
        assertMoney(provider.addr, 10 * BOND, 0);
    }

    /* THE BUYER WINS */

    function test_BuyerWins() public {
        redeem(aVoucher(lease, 4e6, false));
        dispute();
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled({
            lease: lease,
            arbiter: arbiter,
            challenger: buyer.addr,
            providerWins: false,
            award: 0,
            toWinner: 11e6,
            toJurors: 2e6,
            returned: BOND
        });
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseClosed({
            lease: lease,
            buyer: buyer.addr,
            provider: provider.addr,
            reason: EndReason.Claimed,
            paid: 4e6,
            refunded: LOCK - 4e6,
            penalty: 11e6,
            returned: BOND - 13e6,
            done: false
        });
        ruleAs(arbiter, order, false, [uint48(0), 11e6, 2e6]);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, false, 4e6);
        assertMoney(provider.addr, 10 * BOND + 4e6 - 13e6, 0);
        assertMoney(buyer.addr, BUYER - 4e6 + 11e6, 0);
        assertMoney(arbiter, 2e6, 0);
        openWith(aBondedOffer(), provider, order, 1);
    }

    function test_TheBuyersWinGoesToTheBuyer() public {
        claimAs(provider, order, 0, aClaim(WORK));
        fund(voucherSigner.addr, BOND);
        challengeAs(voucherSigner.addr, order, 0);
        ruleAs(arbiter, order, false, [uint48(0), BOND, 0]);
        assertMoney(voucherSigner.addr, BOND, 0);
        assertMoney(buyer.addr, BUYER + BOND, 0);
        assertMoney(provider.addr, 9 * BOND, 0);
    }

    function test_ALoserGetsNoMinimumCharge() public {
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Faulty, false, 0);
        assertMoney(provider.addr, 10 * BOND, 0);
    }

    function test_ALoserThatWasAwayPaysOnlyWhatIsRuled() public {
        closeAs(matcher, order, EndReason.Unresponsive);
        challengeReceiptAs(buyer.addr, order, 0, aReceipt(lease), provider);
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        assertMoney(provider.addr, 10 * BOND, 0);
        assertMoney(buyer.addr, BUYER, 0);
    }

    function test_ALostClaimLeavesWhatElseEndedTheLane() public {
        vm.warp(block.timestamp + DURATION);
        dispute();
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Expired, true, 0);

        order.salt = 1;
        lease = openBonded(order);
        closeAs(buyer.addr, order, EndReason.Cancelled);
        dispute();
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Cancelled, true, 0);

        order.salt = 2;
        lease = openBonded(order);
        closeLast(aLastVoucher(order, 0, 1e6));
        dispute();
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Completed, true, 1e6);

        order.salt = 3;
        lease = openBonded(order);
        closeAs(buyer.addr, order, EndReason.Faulty);
        dispute();
        ruleAs(arbiter, order, false, [uint48(0), 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Faulty, false, 0);
    }

    /* NOBODY OBJECTS */

    function test_AgreementEndsTheLeaseAtOnce() public {
        claimAs(provider, order, 0, aClaim(WORK));
        vm.expectEmit(address(ledger));
        emit IComputeLedger.LeaseRuled({
            lease: lease,
            arbiter: arbiter,
            challenger: address(0),
            providerWins: true,
            award: TARGET,
            toWinner: 0,
            toJurors: 0,
            returned: 0
        });
        ruleAs(arbiter, order, true, [TARGET, 0, 0]);
        assertLease(lease, LeaseState.Closed, EndReason.Claimed, true, TARGET);
        assertMoney(provider.addr, 10 * BOND + TARGET, 0);
        assertMoney(buyer.addr, BUYER - TARGET, 0);
        assertMoney(address(0), 0, 0);
    }

    function test_RevertWhen_AgreementIsTooLate() public {
        claimAs(provider, order, 0, aClaim(WORK));
        uint256 deadline = block.timestamp + WINDOW;
        vm.warp(deadline);
        expectDeadlinePassed(deadline);
        ruleAs(arbiter, order, true, [TARGET, 0, 0]);
        vm.warp(deadline - 1);
        ruleAs(arbiter, order, true, [TARGET, 0, 0]);
    }

    /* ONE ACCOUNT IN EVERY ROLE */

    function test_BuyerArbiterAndChallengerAreOne() public {
        order.arbiter = buyer.addr;
        order.salt = 5;
        openWithArbiter();
        dispute();
        ruleAs(buyer.addr, order, false, [uint48(0), 11e6, 2e6]);
        // The other lease still has its lock, and its fee was paid too.
        assertMoney(buyer.addr, BUYER - LOCK - FEE + 13e6, 0);
    }

    /* CASES */

    function openWithArbiter() private {
        assertEq(openAs(matcher, offerOf(order.arbiter), provider, matchOf(order, buyer, 0)), 1, "opened");
        lease = leaseOf(order, 0);
    }

    function offerOf(address arbiter_) private view returns (Offer memory offer) {
        offer = aBondedOffer();
        offer.arbiter = arbiter_;
    }

    function dispute() private {
        claimAs(provider, order, 0, aClaim(WORK));
        challengeAs(buyer.addr, order, 0);
    }

    function expectRefused(LeaseState state, bool providerWins, uint48 toWinner, uint48 toJurors) private {
        expectWrongState(lease, state);
        ruleAs(arbiter, order, providerWins, [uint48(0), toWinner, toJurors]);
    }

    function expectTooLarge(uint256 maximum, uint256 amount) private {
        vm.expectRevert(abi.encodeWithSelector(IComputeLedger.ComputeLedger_RulingTooLarge.selector, maximum, amount));
    }
}
