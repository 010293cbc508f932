// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Case, Juror, Phase, Point, Seat} from "../../../src/interfaces/CourtTypes.sol";
import {LeaseState, Order} from "../../../src/interfaces/LedgerTypes.sol";
import {CourtNotes} from "./CourtNotes.sol";

/// @dev Random cases, moves, votes, jurors that come and go, and time. No call reverts: each does what is possible then.
contract CourtHandler is CourtNotes {
    uint256 private constant MOST_CASES = 12;

    /// A case that was brought: its order, and from which segment on its provider lies (0 = nowhere).
    struct Brought {
        bytes32 lease;
        Order order;
        uint32 lieFrom;
    }

    Brought[] private brought;
    mapping(address who => bool) private known;

    /// What the three parties of all cases had in the beginning, and all tokens that were made for jurors.
    uint256 public partiesHad;
    uint256 public jurorsGot;

    constructor() {
        vm.recordLogs();
        setUp();
        makeJob(4);
        fund(buyer.addr, 10_000e6);
        fund(provider.addr, 10_000e6);
        partiesHad = partiesHave();
        for (uint256 i; i < 18; ++i) {
            come(i, i);
        }
        noteCall();
        vm.roll(block.number + 1);
    }

    /* ACTIONS */

    function openCase(uint256 seed, uint48 paid, uint32 lie) external {
        if (brought.length == MOST_CASES) return;
        order = anOrder();
        order.salt = 1_000 + brought.length;
        delete told;
        told = truth;
        lie = lie % 9;
        if (lie > 4) lie = 0;
        if (lie != 0) lieFrom(lie);
        lease = openLease(order, 0, provider, ZONE);
        paid = uint48(bound(paid, 0, 30e6));
        if (seed % 3 == 0 && paid != 0) redeem(paid);
        claim(true);
        challenge();
        court.bring(order, 0);
        Brought storage made = brought.push();
        (made.lease, made.order, made.lieFrom) = (lease, order, lie);
        noteCall();
    }

    /// Some steps of one case, whatever it is its turn for.
    function step(uint256 which, uint256 dice) external {
        if (brought.length == 0) return;
        // The fuzzer likes numbers next to the largest, so nothing is added to one before it is cut.
        which %= brought.length;
        load(which);
        // Mostly one that goes on.
        for (uint256 i = 1; i < brought.length && court.caseOf(lease).phase == Phase.Ended && dice % 8 != 0; ++i) {
            load((which + i) % brought.length);
        }
        for (uint256 i; i < 1 + dice % 8; ++i) {
            stepOnce(uint256(keccak256(abi.encode(dice, i))));
        }
    }

    function stepOnce(uint256 dice) private {
        Case memory case_ = court.caseOf(lease);
        Moment memory before = momentOf(case_);
        if (case_.phase == Phase.Opening) stepOpening(case_, dice);
        else if (case_.phase == Phase.Posting) stepPosting(case_, dice);
        else if (case_.phase == Phase.Answering) stepAnswering(case_, dice);
        else if (case_.phase == Phase.Drawing) stepDrawing(case_);
        else if (case_.phase == Phase.Voting) stepVoting(case_, dice);
        else stepEnded();
        noteStep(before);
        noteCall();
    }

    /// The same, so that cases get further.
    function stepAgain(uint256 which, uint256 dice) external {
        this.step(which, dice);
    }

    /// A juror comes, goes, or takes its fees. More come than go, as those who are slashed go too.
    function visit(uint256 which, uint256 dice) external {
        if (dice % 4 < 2) come(which, dice >> 8);
        else if (dice % 4 == 2) go(which);
        else collect(which);
        noteCall();
    }

    function come(uint256 which, uint256 zone) private {
        address who = someone(which);
        Juror memory juror = court.jurorOf(who);
        if (juror.place != 0) return;
        if (juror.stake != 0) ++ways["juror back with a part of its bond"];
        jurorsGot += court.seatBond() - juror.stake;
        joinAs(who, uint8(zone % 255 + 1));
        if (!known[who]) {
            known[who] = true;
            jurors.push(who);
        }
    }

    function go(uint256 which) private {
        address who = someone(which);
        Juror memory juror = court.jurorOf(who);
        if (juror.stake == 0 || juror.seated) return;
        vm.prank(who);
        court.leave(who);
    }

    function collect(uint256 which) private {
        address who = someone(which);
        if (court.jurorOf(who).owed == 0) return;
        ++ways["fees collected"];
        vm.prank(who);
        court.collect(who);
    }

    /// Rarely long enough for moves to be missed, and more rarely for the ledger not to wait any more.
    function pass(uint256 time, uint256 blocks) external {
        uint256 most = time % 24 == 0 ? 20 days : time % 12 == 1 ? 2 days : 1 hours;
        vm.warp(block.timestamp + (time >> 8) % most);
        vm.roll(block.number + blocks % (most > 1 hours ? 400 : 20) + 1);
    }

    /* STEPS */

    function stepOpening(Case memory case_, uint256 dice) private {
        if (block.timestamp >= case_.deadline) return giveUp();
        if (dice % 8 == 0) return;
        openTrace(anOpening(true));
    }

    function stepPosting(Case memory case_, uint256 dice) private {
        if (block.timestamp >= case_.deadline) return giveUp();
        if (dice % 8 == 0) return;
        post();
    }

    function stepAnswering(Case memory case_, uint256 dice) private {
        if (block.timestamp >= case_.deadline) return giveUp();
        if (dice % 8 == 0) return;
        // Mostly by the truth.
        Point memory mid = case_.mid;
        bool agreed = segmentValue(mid) == segmentValue(truth[mid.position]);
        answer(dice % 8 == 1 ? !agreed : agreed);
    }

    function giveUp() private {
        court.timeout(order, 0);
    }

    function stepDrawing(Case memory case_) private {
        if (block.number <= case_.anchor) vm.roll(case_.anchor + 1);
        court.draw(order, 0);
    }

    /// All that can commit or reveal do; some are absent. Else time passes until it can be counted.
    function stepVoting(Case memory case_, uint256 dice) private {
        bool complete = block.timestamp >= case_.deadline && case_.revealed == case_.committed;
        if (complete || block.timestamp >= case_.revealUntil) {
            court.tally(order, 0);
            return;
        }
        address[] memory who = jury();
        bool open = block.timestamp < case_.deadline;
        uint256 moves;
        for (uint256 i; i < who.length; ++i) {
            if (uint256(keccak256(abi.encode(who[i], lease, open))) % 16 == 0) continue;
            Seat memory seat = court.seatsOf(lease)[court.jurorOf(who[i]).seat];
            if (open && seat.commitment == 0) {
                ++moves;
                commitAs(who[i], valueOf(who[i]));
            } else if (!open && seat.commitment != 0 && !seat.revealed) {
                ++moves;
                revealAs(who[i], valueOf(who[i]));
            }
        }
        if (moves == 0 && dice % 2 == 0) vm.warp(open ? case_.deadline : case_.revealUntil);
    }

    function stepEnded() private {
        if (ledger.stateOf(lease) == LeaseState.Closed || block.timestamp < ledger.lease(lease).deadline) return;
        ledger.finalise(order, 0);
    }

    /// Most jurors find the truth, some the provider's value, some that it cannot be replayed. In a third of the cases they
    /// are as far apart as they can be, or juries of three would nearly always decide, and those of nine always.
    function valueOf(address juror) private view returns (bytes32) {
        uint256 kind = uint256(keccak256(abi.encode(juror, lease))) % 12;
        uint256 step_ = uint256(lease) % 3 == 0 ? 4 : 2;
        if (kind < step_) return bytes32(0);
        return kind < 2 * step_ ? court.claimedValue(lease) : trueValue();
    }

    /* THE END */

    /// From whatever state: time passes, strangers end all cases, and everybody takes what it has.
    function exitAll() external {
        for (uint256 i; i < brought.length; ++i) {
            load(i);
            if (ledger.stateOf(lease) != LeaseState.Closed) {
                if (block.timestamp < ledger.lease(lease).deadline) vm.warp(ledger.lease(lease).deadline);
                ledger.finalise(order, 0);
            }
            Phase phase = court.caseOf(lease).phase;
            vm.startPrank(stranger);
            if (phase == Phase.Drawing) court.draw(order, 0);
            else if (phase == Phase.Voting) court.tally(order, 0);
            else if (phase != Phase.Ended) court.timeout(order, 0);
            vm.stopPrank();
        }
        for (uint256 i; i < jurors.length; ++i) {
            Juror memory juror = court.jurorOf(jurors[i]);
            vm.startPrank(jurors[i]);
            if (juror.stake != 0) court.leave(jurors[i]);
            if (juror.owed != 0) court.collect(jurors[i]);
            vm.stopPrank();
        }
    }

    /* LOOKING */

    function theCourt() external view returns (address) {
        return address(court);
    }

    function countOfCases() external view returns (uint256) {
        return brought.length;
    }

    function leaseAt(uint256 index) external view returns (bytes32) {
        return brought[index].lease;
    }

    function countOfJurors() external view returns (uint256) {
        return jurors.length;
    }

    function jurorNumber(uint256 index) external view returns (address) {
        return jurors[index];
    }

    function partiesHave() public view returns (uint256) {
        return wealthOf(buyer.addr) + wealthOf(provider.addr) + wealthOf(voucherSigner.addr);
    }

    function jurorsHave() external view returns (uint256 sum) {
        for (uint256 i; i < jurors.length; ++i) {
            sum += wealthOf(jurors[i]);
        }
    }

    function theLedger() external view returns (address) {
        return address(ledger);
    }

    function courtHolds() external view returns (uint256 tokens, uint256 inLedger) {
        return (dollar.balanceOf(address(court)), freeOf(address(court)));
    }

    function someone(uint256 which) private returns (address) {
        return makeAddr(string.concat("juror ", vm.toString(which % 24)));
    }

    function load(uint256 index) private {
        lease = brought[index].lease;
        order = brought[index].order;
        delete told;
        told = truth;
        if (brought[index].lieFrom != 0) lieFrom(brought[index].lieFrom);
    }
}
