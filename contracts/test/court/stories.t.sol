// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Outcome, Phase, Seat} from "../../src/interfaces/CourtTypes.sol";
import {IReexecutionCourt} from "../../src/interfaces/IReexecutionCourt.sol";
import {LeaseState} from "../../src/interfaces/LedgerTypes.sol";
import {CourtTest} from "./support/CourtTest.sol";

/// @dev Whole disputes, from the challenge to the money.
contract CourtStoriesTest is CourtTest {
    uint256 private buyerBefore;
    uint256 private providerBefore;

    function start() private {
        buyerBefore = wealthOf(buyer.addr);
        providerBefore = wealthOf(provider.addr);
    }

    /// Gains since `start`.
    function assertGains(int256 ofBuyer, int256 ofProvider) private view {
        assertEq(int256(wealthOf(buyer.addr)) - int256(buyerBefore), ofBuyer, "buyer's gain");
        assertEq(int256(wealthOf(provider.addr)) - int256(providerBefore), ofProvider, "provider's gain");
    }

    /// The buyer denies a right claim. It pays the claim, the jurors, and the rest of its bond to the provider.
    function test_HonestProviderAgainstFalseChallenge() public {
        start();
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        bringClaim();
        openTrace(anOpening(true));
        bisectDisagreeing();
        assertEq(court.caseOf(lease).hi.position, 1, "the first segment is left");
        drawJury();
        address[] memory who = jury();
        vote(votes(trueValue(), 3));
        vm.prank(stranger);
        court.tally(order, fill);

        assertEnded(Outcome.ProviderWins);
        assertLease(LeaseState.Closed);
        assertGains(-int256(uint256(20e6 + BOND)), int256(uint256(20e6 + BOND - 3 * SEAT_FEE)));
        for (uint256 i; i < who.length; ++i) {
            assertEq(court.jurorOf(who[i]).owed, SEAT_FEE, "fee");
            vm.prank(who[i]);
            court.collect(who[i]);
            assertEq(dollar.balanceOf(who[i]), SEAT_FEE, "collected");
            vm.prank(who[i]);
            court.leave(who[i]);
            assertEq(dollar.balanceOf(who[i]), SEAT_BOND + SEAT_FEE, "left with all");
        }
        assertEq(freeOf(address(court)), 0, "nothing is left in the court's account");
    }

    /// The provider's fifth segment is false. Bisection finds it, the jury sees it, the bond pays buyer and jurors.
    function test_CheaterCaughtByBisection() public {
        start();
        lieFrom(5);
        bringToVote();
        Case memory case_ = court.caseOf(lease);
        assertEq(case_.lo.position, 4, "agreed");
        assertEq(case_.hi.position, 5, "disputed");
        vote(votes(trueValue(), 3));
        court.tally(order, fill);

        assertEnded(Outcome.BuyerWins);
        assertLease(LeaseState.Closed);
        assertGains(int256(uint256(BOND - 3 * SEAT_FEE)), -int256(uint256(BOND)));
        assertEq(ledger.lease(lease).paid, 0, "paid");
        assertEq(ledger.account(provider.addr).bonded, 0, "no bond is left");
    }

    /// States and outputs are right, the exit code is not: only the last segment shows it.
    function test_CheaterLiesAboutTheEndAlone() public {
        toldEnd.exitCode = 1;
        bringToVote();
        assertEq(court.caseOf(lease).hi.position, SEGMENTS, "the last segment is left");
        vote(votes(trueValue(), 3));
        court.tally(order, fill);
        assertEnded(Outcome.BuyerWins);
    }

    /// Work is told too high in one segment, states are right.
    function test_CheaterLiesAboutWorkAlone() public {
        for (uint256 position = 6; position < told.length; ++position) {
            told[position].work += 1;
        }
        bringToVote();
        assertEq(court.caseOf(lease).hi.position, 6, "the inflated segment is left");
        vote(votes(trueValue(), 3));
        court.tally(order, fill);
        assertEnded(Outcome.BuyerWins);
    }

    /// Of three jurors nobody votes; nine are drawn, nobody votes either: the ledger's default after 14 days.
    function test_AbsentJurors() public {
        start();
        bringToVote();
        address[] memory first = jury();
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertPhase(Phase.Drawing);
        for (uint256 i; i < 3; ++i) {
            assertEq(court.jurorOf(first[i]).stake, SEAT_BOND - SEAT_BOND / 10, "a tenth");
        }
        drawJury();
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertEnded(Outcome.Default);
        assertEq(court.burned(), 12 * (SEAT_BOND / 10), "burned");
        assertLease(LeaseState.Disputed);

        vm.warp(ledger.lease(lease).deadline);
        ledger.finalise(order, fill);
        assertGains(0, 0);
        assertLease(LeaseState.Closed);
    }

    /// Three jurors, three values; nine decide, and the wrong two of the first three lose all.
    function test_SplitJuryThenNine() public {
        start();
        bringToVote();
        address[] memory first = jury();
        bytes32 right = trueValue();
        vote(votes(right, keccak256("wrong"), 0));
        court.tally(order, fill);
        assertPhase(Phase.Drawing);
        assertEq(court.burned(), 0, "nobody was silent");

        drawJury();
        assertEq(jury().length, 9, "nine");
        vote(votes(right, 5));
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertEnded(Outcome.ProviderWins);
        assertEq(court.jurorOf(first[0]).owed, SEAT_FEE, "the first who was right");
        assertEq(court.jurorOf(first[1]).stake, 0, "the first who was wrong");
        assertEq(court.jurorOf(first[2]).stake, 0, "the first who could not replay");
        assertEq(court.burned(), 2 * uint256(SEAT_BOND) + 4 * (SEAT_BOND / 10), "burned");
        assertGains(-int256(uint256(20e6 + BOND)), int256(uint256(20e6 + BOND - 6 * SEAT_FEE)));
    }

    /// Four of nine on one value are no decision.
    function test_NineSplitToo() public {
        start();
        bringToVote();
        vote(votes(trueValue(), keccak256("wrong"), 0));
        court.tally(order, fill);
        drawJury();
        bytes32[] memory values = votes(trueValue(), 8);
        for (uint256 i = 4; i < 8; ++i) {
            values[i] = keccak256("wrong");
        }
        address[] memory second = jury();
        vote(values);
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertEnded(Outcome.Default);
        assertEq(court.burned(), SEAT_BOND / 10, "only the silent ninth");
        for (uint256 i; i < 8; ++i) {
            assertFalse(court.jurorOf(second[i]).seated, "free");
            vm.prank(second[i]);
            court.leave(second[i]);
        }
        vm.warp(ledger.lease(lease).deadline);
        ledger.finalise(order, fill);
        assertGains(0, 0);
    }

    /// A juror copies another's commitment: it cannot open it, whatever the other reveals.
    function test_CopiedCommitments() public {
        bringToVote();
        address[] memory who = jury();
        bytes32 right = trueValue();
        bytes32 copied = commitmentOf(who[0], right);
        commitAs(who[0], right);
        for (uint256 i = 1; i < 3; ++i) {
            vm.prank(who[i]);
            court.commit(lease, copied);
        }
        revealAs(who[0], right);
        for (uint256 i = 1; i < 3; ++i) {
            bytes32 own = commitmentOf(who[i], right);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IReexecutionCourt.ReexecutionCourt_WrongCommitment.selector,
                    copied,
                    keccak256(abi.encode(lease, uint8(1), who[i], right, saltOf(who[0])))
                )
            );
            vm.prank(who[i]);
            court.reveal(lease, right, saltOf(who[0]));
            assertNotEq(own, copied, "bound to the juror");
        }
        vm.warp(court.caseOf(lease).revealUntil);
        court.tally(order, fill);
        assertPhase(Phase.Drawing);
        assertEq(court.burned(), 2 * (SEAT_BOND / 10), "both were silent");
    }

    /// The provider never opens its trace.
    function test_ProviderSilent() public {
        start();
        bringClaim();
        vm.warp(court.caseOf(lease).deadline);
        vm.prank(stranger);
        court.timeout(order, fill);
        assertEnded(Outcome.BuyerWins);
        assertGains(int256(uint256(BOND)), -int256(uint256(BOND)));
        assertLease(LeaseState.Closed);
    }

    /// The challenger never answers.
    function test_BuyerSilent() public {
        start();
        bringClaim();
        openTrace(anOpening(true));
        post();
        vm.warp(court.caseOf(lease).deadline);
        vm.prank(stranger);
        court.timeout(order, fill);
        assertEnded(Outcome.ProviderWins);
        assertGains(-int256(uint256(20e6 + BOND)), int256(uint256(20e6 + BOND)));
    }

    /// Nobody even brings the case: a stranger finalises.
    function test_EverybodySilent() public {
        openLease();
        start();
        // What the lease locks of the buyer is no wealth while it is open.
        buyerBefore += LOCK;
        claim(true);
        challenge();
        vm.warp(ledger.lease(lease).deadline);
        vm.prank(stranger);
        ledger.finalise(order, fill);
        assertGains(0, 0);
        assertLease(LeaseState.Closed);
        assertPhase(Phase.None);
    }

    /// Brought, and then nobody does anything in time: strangers end it, nobody is punished.
    function test_EverybodySilentAfterBringing() public {
        start();
        bringToDraw();
        vm.roll(block.number + 2);
        court.draw(order, fill);
        assertPhase(Phase.Drawing);
        vm.warp(ledger.lease(lease).deadline);
        ledger.finalise(order, fill);
        vm.prank(stranger);
        court.draw(order, fill);
        assertEnded(Outcome.Default);
        assertGains(0, 0);
    }

    /// However buyer and provider play it together, and whatever the jurors say, both together never gain.
    function testFuzz_ColludersNeverProfit(uint256 seed, uint48 paid, uint8 liar) public {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        uint256 before = wealthOf(buyer.addr) + wealthOf(provider.addr) + wealthOf(voucherSigner.addr);
        uint256 jurorsBefore = wealthOfJurors();
        uint256 minted = dollar.totalSupply();
        if (liar % 3 == 0) lieFrom(uint32(liar) % SEGMENTS + 1);
        openLease();
        paid = uint48(bound(paid, 0, LOCK));
        if (paid != 0) redeem(paid);
        claim(true);
        challenge();
        court.bring(order, fill);
        play(seed);
        uint256 afterwards = wealthOf(buyer.addr) + wealthOf(provider.addr) + wealthOf(voucherSigner.addr);
        assertLe(afterwards, before, "profit");
        assertLe(wealthOfJurors() + court.burned(), jurorsBefore + before - afterwards, "jurors");
        assertEq(afterwards + wealthOfJurors() + court.burned(), before + jurorsBefore, "every base unit is somewhere");
        assertEq(dollar.totalSupply(), minted, "supply");
    }

    function wealthOfJurors() private view returns (uint256 sum) {
        for (uint256 i; i < jurors.length; ++i) {
            sum += wealthOf(jurors[i]);
        }
    }

    /// Random moves, some missed, random votes, until the lease is Closed.
    function play(uint256 seed) private {
        for (uint256 i; ledger.stateOf(lease) == LeaseState.Disputed; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            Case memory case_ = court.caseOf(lease);
            bool misses = dice % 16 == 0;
            if (case_.phase == Phase.Ended) {
                vm.warp(ledger.lease(lease).deadline);
                ledger.finalise(order, fill);
            } else if (case_.phase == Phase.Drawing) {
                drawJury();
            } else if (case_.phase == Phase.Voting) {
                castDice(dice);
                vm.warp(court.caseOf(lease).revealUntil);
                court.tally(order, fill);
            } else if (misses) {
                vm.warp(case_.deadline);
                court.timeout(order, fill);
            } else if (case_.phase == Phase.Opening) {
                openTrace(anOpening(true));
            } else if (case_.phase == Phase.Posting) {
                post();
            } else {
                answer(dice & 256 == 0);
            }
        }
    }

    function castDice(uint256 dice) private {
        address[] memory who = jury();
        bytes32[] memory values = new bytes32[](who.length - dice % 3);
        for (uint256 i; i < values.length; ++i) {
            uint256 kind = dice >> 16 + 4 * i & 15;
            values[i] = kind < 7 ? trueValue() : kind < 13 ? court.claimedValue(lease) : bytes32(kind);
        }
        vote(values);
    }
}
