// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test, Vm} from "forge-std/Test.sol";

import {ProviderRegistry} from "../../../src/ProviderRegistry.sol";
import {TestDollar} from "../../../src/dev/TestDollar.sol";
import {Case, JobEnd, Juror, Outcome, Phase, Point, Seat, TraceOpening} from "../../../src/interfaces/CourtTypes.sol";
import {IComputeLedger} from "../../../src/interfaces/IComputeLedger.sol";
import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {
    Attestation,
    ClaimTerms,
    LeaseState,
    Match,
    Offer,
    Order,
    SignedOffer,
    SignedVoucher,
    StartVoucher,
    UsageReceipt,
    Voucher
} from "../../../src/interfaces/LedgerTypes.sol";

/// @dev A court over a real ledger, jurors, and a job whose true trace is known: `truth` is what re-execution finds, `told`
/// what the provider says. The Merkle trees are built here, without the contract's code.
abstract contract CourtTest is Test {
    /// 50,000 pico-dollars per 10^6 units: 400e12 units of work earn 20 dollars, which is the bond.
    uint32 internal constant RATE = 50_000;
    uint64 internal constant WORK = 400e12;
    uint48 internal constant BOND = 20e6;
    uint48 internal constant LOCK = 50e6;
    uint32 internal constant WINDOW = 1 hours;
    uint32 internal constant NOTICE = 1 hours;
    uint8 internal constant ZONE = 7;
    uint32 internal constant SEGMENTS = 8;

    /// A dispute of a claim of the whole bond moves 60 dollars: at most half of 3 seat bonds.
    uint48 internal constant SEAT_BOND = 50e6;
    uint48 internal constant SEAT_FEE = 1e6;
    uint32 internal constant MOVE_TIME = 6 hours;
    uint32 internal constant COMMIT_TIME = 12 hours;
    uint32 internal constant REVEAL_TIME = 10 hours;
    uint256 internal constant JURORS = 16;

    TestDollar internal dollar;
    ProviderRegistry internal registry;
    IComputeLedger internal ledger;
    IReexecutionCourt internal court;

    Vm.Wallet internal buyer;
    Vm.Wallet internal provider;
    Vm.Wallet internal voucherSigner;
    Vm.Wallet internal auditor;
    address internal stranger = makeAddr("stranger");
    address[] internal jurors;

    /// The lease in dispute.
    Order internal order;
    uint8 internal fill;
    bytes32 internal lease;

    Point[] internal truth;
    Point[] internal told;
    JobEnd internal trueEnd;
    JobEnd internal toldEnd;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1_000);
        buyer = vm.createWallet("buyer");
        provider = vm.createWallet("provider");
        voucherSigner = vm.createWallet("voucher signer");
        auditor = vm.createWallet("auditor");
        dollar = new TestDollar();
        registry = new ProviderRegistry();
        ledger = IComputeLedger(deployCode("ComputeLedger.sol:ComputeLedger", abi.encode(dollar, registry, uint32(10))));
        court = deployCourt(SEAT_BOND, SEAT_FEE);
        fund(buyer.addr, 1_000e6);
        fund(voucherSigner.addr, 100e6);
        fund(provider.addr, 200e6);
        makeJob(SEGMENTS);
    }

    function deployCourt(uint48 seatBond, uint48 fee) internal returns (IReexecutionCourt) {
        return deployCourt(address(ledger), seatBond, fee, MOVE_TIME, COMMIT_TIME, REVEAL_TIME);
    }

    function deployCourt(address ledger_, uint48 seatBond, uint48 fee, uint32 move, uint32 commits, uint32 reveals)
        internal
        returns (IReexecutionCourt)
    {
        bytes memory arguments = abi.encode(ledger_, seatBond, fee, move, commits, reveals);
        return IReexecutionCourt(deployCode("ReexecutionCourt.sol:ReexecutionCourt", arguments));
    }

    /* MONEY */

    function fund(address who, uint256 amount) internal {
        dollar.mint(who, amount);
        vm.startPrank(who);
        dollar.approve(address(ledger), amount);
        ledger.deposit(who, amount);
        vm.stopPrank();
    }

    function freeOf(address who) internal view returns (uint256) {
        return ledger.account(who).free;
    }

    /// All that an account has anywhere: in its wallet, in the ledger, in the court.
    function wealthOf(address who) internal view returns (uint256) {
        Juror memory juror = court.jurorOf(who);
        return dollar.balanceOf(who) + ledger.account(who).free + ledger.account(who).bonded + juror.stake + juror.owed;
    }

    /* JOB */

    /// A job of `segments` equal segments that ends well, truthfully told.
    function makeJob(uint32 segments) internal {
        delete truth;
        truth.push();
        for (uint32 position = 1; position <= segments; ++position) {
            truth.push(
                Point({
                    state: keccak256(abi.encode("state", position)),
                    work: uint64(uint256(WORK) * position / segments),
                    position: position
                })
            );
        }
        trueEnd = JobEnd({status: 0, exitCode: 0, outputs: 2, outputsRoot: keccak256("outputs")});
        toldEnd = trueEnd;
        told = truth;
    }

    /// The provider errs from segment `from` on: other states, the same work.
    function lieFrom(uint32 from) internal {
        for (uint32 position = from; position < told.length; ++position) {
            told[position].state = keccak256(abi.encode("false state", position));
        }
    }

    function leafOf(Point memory point) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(keccak256("gridlease/trace/1"), uint256(point.position) - 1, point.state, uint256(point.work))
        );
    }

    function leavesOf(Point[] memory points) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](points.length - 1);
        for (uint256 i; i < leaves.length; ++i) {
            leaves[i] = leafOf(points[i + 1]);
        }
    }

    function parentsOf(bytes32[] memory level) internal pure returns (bytes32[] memory parents) {
        bytes32 node = keccak256(abi.encode(keccak256("gridlease/trace/1"), keccak256("node")));
        parents = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < parents.length; ++i) {
            parents[i] =
                2 * i + 1 < level.length ? keccak256(abi.encode(node, level[2 * i], level[2 * i + 1])) : level[2 * i];
        }
    }

    function rootOf(Point[] memory points) internal pure returns (bytes32) {
        bytes32[] memory level = leavesOf(points);
        while (level.length > 1) {
            level = parentsOf(level);
        }
        return level[0];
    }

    function proofOf(Point[] memory points, uint32 position) internal pure returns (bytes32[] memory proof) {
        bytes32[] memory level = leavesOf(points);
        bytes32[] memory all = new bytes32[](32);
        uint256 index = position - 1;
        uint256 count;
        for (; level.length > 1; index /= 2) {
            uint256 sibling = index % 2 == 0 ? index + 1 : index - 1;
            if (sibling < level.length) all[count++] = level[sibling];
            level = parentsOf(level);
        }
        proof = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            proof[i] = all[i];
        }
    }

    function resultOf(Point[] memory points, JobEnd memory end, bytes32 job) internal pure returns (bytes32) {
        Point memory last = points[points.length - 1];
        return keccak256(
            bytes.concat(
                abi.encode(keccak256("gridlease/result/1"), job, uint256(end.status), uint256(end.exitCode)),
                abi.encode(uint256(end.outputs), end.outputsRoot, points.length - 1, rootOf(points), uint256(last.work))
            )
        );
    }

    function segmentValue(Point memory point) internal pure returns (bytes32) {
        return keccak256(abi.encode(point.state, point.work));
    }

    function finalValue(Point memory point, JobEnd memory end) internal pure returns (bytes32) {
        return keccak256(abi.encode(point.state, point.work, end.status, end.exitCode, end.outputs, end.outputsRoot));
    }

    /// What a juror finds that runs the segment again.
    function trueValue() internal view returns (bytes32) {
        Case memory case_ = court.caseOf(lease);
        Point memory hi = truth[case_.hi.position];
        bool last = case_.finalValue != 0 && case_.hi.position == truth.length - 1;
        return last ? finalValue(hi, trueEnd) : segmentValue(hi);
    }

    /* LEASE */

    function anOffer(Vm.Wallet memory who, uint8 zone) internal view returns (Offer memory offer) {
        offer.provider = who.addr;
        offer.zone = zone;
        offer.meter = 1;
        offer.rate = RATE;
        offer.capacity = 16;
        offer.minDuration = 1;
        offer.maxDuration = 30 days;
        offer.notice = 10;
        offer.bond = 100e6;
        offer.arbiter = address(court);
        offer.expiry = uint40(block.timestamp + 300 days);
        offer.salt = 1;
    }

    function anOrder() internal view returns (Order memory made) {
        made.buyer = buyer.addr;
        made.voucherSigner = voucherSigner.addr;
        made.job = keccak256("job");
        made.meter = 1;
        made.maxRate = RATE;
        made.quantity = 1e9;
        made.duration = 10 days;
        made.budget = 2 * LOCK;
        made.replicas = 1;
        made.maxLeases = 4;
        made.bond = BOND;
        made.notice = NOTICE;
        made.arbiter = address(court);
        made.challengeWindow = WINDOW;
        made.expiry = uint40(block.timestamp + 300 days);
        made.auditor = auditor.addr;
        made.salt = 7;
    }

    function sign(Vm.Wallet memory who, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(who.privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function openLease(Order memory order_, uint8 fill_, Vm.Wallet memory who, uint8 zone) internal returns (bytes32) {
        SignedOffer[] memory offers = new SignedOffer[](1);
        offers[0].offer = anOffer(who, zone);
        offers[0].signature = sign(who, ledger.hashOffer(offers[0].offer));
        Match[] memory matches = new Match[](1);
        matches[0].order = order_;
        matches[0].fill = fill_;
        matches[0].signature = sign(buyer, ledger.hashOrder(order_));
        assertEq(ledger.open(offers, matches, 0), 1, "opened");
        return ledger.leaseId(ledger.hashOrder(order_), fill_);
    }

    /// Opens fill 0 of the order for the provider; the lease of this test from now on.
    function openLease() internal {
        order = anOrder();
        fill = 0;
        lease = openLease(order, 0, provider, ZONE);
    }

    function aVoucher(bytes32 id, uint48 cumulative, bytes32 result, bool last, Vm.Wallet memory signer)
        internal
        view
        returns (SignedVoucher memory voucher)
    {
        voucher.lease = id;
        voucher.cumulative = cumulative;
        voucher.result = result;
        voucher.last = last;
        bytes32 digest = ledger.hashVoucher(
            Voucher({
                lease: id, provider: ledger.lease(id).provider, cumulative: cumulative, result: result, last: last
            })
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signer.privateKey, digest);
        voucher.r = r;
        voucher.vs = bytes32(uint256(s) | uint256(v - 27) << 255);
    }

    function redeem(uint48 cumulative) internal {
        SignedVoucher[] memory vouchers = new SignedVoucher[](1);
        vouchers[0] = aVoucher(lease, cumulative, keccak256("checkpoint"), false, voucherSigner);
        assertEq(ledger.redeem(vouchers), 1, "redeemed");
    }

    /// The provider claims what it tells, as the end of the job or as a state.
    function claim(bool last) internal {
        Point memory end = told[told.length - 1];
        StartVoucher memory start;
        claim(
            ClaimTerms({
                work: end.work, result: last ? resultOf(told, toldEnd, order.job) : end.state, from: 0, last: last
            }),
            start
        );
    }

    function claim(ClaimTerms memory terms, StartVoucher memory start) internal {
        vm.prank(provider.addr);
        ledger.claim(order, fill, terms, 0, start);
    }

    function challenge() internal {
        UsageReceipt memory receipt;
        vm.prank(buyer.addr);
        ledger.challenge(order, fill, receipt, "");
    }

    /// A whole claim, in dispute before the court.
    function bringClaim() internal {
        openLease();
        claim(true);
        challenge();
        court.bring(order, fill);
    }

    /// The provider's usage receipt for all that it tells, with the state as its result.
    function aReceipt() internal view returns (UsageReceipt memory receipt) {
        Point memory end = told[told.length - 1];
        receipt.lease = lease;
        receipt.sequence = end.position;
        receipt.meteredUntil = uint64(block.timestamp * 1000);
        receipt.work = end.work;
        receipt.result = end.state;
    }

    function challengeReceipt(UsageReceipt memory receipt) internal {
        bytes memory signature = sign(provider, ledger.hashUsageReceipt(receipt));
        vm.prank(buyer.addr);
        ledger.challenge(order, fill, receipt, signature);
    }

    /* CASE */

    function anOpening(bool ended) internal view returns (TraceOpening memory opening) {
        Point memory end = told[told.length - 1];
        opening.root = rootOf(told);
        opening.segments = end.position;
        opening.state = end.state;
        opening.work = end.work;
        opening.proof = proofOf(told, end.position);
        opening.ended = ended;
        if (ended) opening.end = toldEnd;
    }

    /// Of a lease that went on from `position`, with a state as its result.
    function anOpeningAt(uint32 position) internal view returns (TraceOpening memory opening) {
        opening = anOpening(false);
        opening.startPosition = position;
        opening.startWork = told[position].work;
        opening.startProof = proofOf(told, position);
    }

    function openTrace(TraceOpening memory opening) internal {
        UsageReceipt memory receipt;
        StartVoucher memory start;
        vm.prank(provider.addr);
        court.openTrace(order, fill, receipt, opening, start);
    }

    /// The provider posts what it tells of the middle.
    function post() internal {
        Case memory case_ = court.caseOf(lease);
        Point memory point = told[(case_.lo.position + case_.hi.position) / 2];
        vm.prank(provider.addr);
        court.postMiddle(lease, point.state, point.work, proofOf(told, point.position));
    }

    function answer(bool agreed) internal {
        vm.prank(court.caseOf(lease).challenger);
        court.answer(lease, agreed);
    }

    /// Bisects to one segment. The challenger answers by the truth.
    function bisect() internal {
        while (court.caseOf(lease).phase == Phase.Posting) {
            post();
            Point memory mid = court.caseOf(lease).mid;
            answer(segmentValue(mid) == segmentValue(truth[mid.position]));
        }
    }

    /// The challenger never agrees, so the first segment of the lease is left.
    function bisectDisagreeing() internal {
        while (court.caseOf(lease).phase == Phase.Posting) {
            post();
            answer(false);
        }
    }

    /// From the claim to the draw: the provider opens, both bisect by the truth.
    function bringToDraw() internal {
        bringClaim();
        openTrace(anOpening(true));
        bisect();
    }

    /// Jurors of all zones but the provider's.
    function seatJurors(uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            uint8 zone = uint8(jurors.length % 20 + 10);
            jurors.push(makeAddr(string.concat("juror ", vm.toString(jurors.length))));
            joinAs(jurors[jurors.length - 1], zone);
        }
    }

    function joinAs(address who, uint8 zone) internal {
        uint256 missing = court.seatBond() - court.jurorOf(who).stake;
        dollar.mint(who, missing);
        vm.startPrank(who);
        dollar.approve(address(court), missing);
        court.join(zone);
        vm.stopPrank();
    }

    /// Draws until the jury is complete.
    function drawJury() internal {
        vm.roll(court.caseOf(lease).anchor + 1);
        for (uint256 i; i < 20 && court.caseOf(lease).phase == Phase.Drawing; ++i) {
            court.draw(order, fill);
        }
        assertEq(uint8(court.caseOf(lease).phase), uint8(Phase.Voting), "jury");
    }

    /// A claim before a jury of three.
    function bringToVote() internal {
        seatJurors(JURORS);
        vm.roll(block.number + 1);
        bringToDraw();
        drawJury();
    }

    /// The jurors of the present round.
    function jury() internal view returns (address[] memory who) {
        Seat[] memory seats = court.seatsOf(lease);
        Case memory case_ = court.caseOf(lease);
        who = new address[](case_.filled);
        for (uint256 i; i < who.length; ++i) {
            who[i] = seats[seats.length - who.length + i].juror;
        }
    }

    function commitmentOf(address who, bytes32 value) internal view returns (bytes32) {
        return keccak256(abi.encode(lease, court.caseOf(lease).round, who, value, saltOf(who)));
    }

    function saltOf(address who) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", who));
    }

    function commitAs(address who, bytes32 value) internal {
        bytes32 commitment = commitmentOf(who, value);
        vm.prank(who);
        court.commit(lease, commitment);
    }

    function revealAs(address who, bytes32 value) internal {
        vm.prank(who);
        court.reveal(lease, value, saltOf(who));
    }

    /// The first jurors of the present round vote so, the others stay silent; then the time passes.
    function vote(bytes32[] memory values) internal {
        address[] memory who = jury();
        for (uint256 i; i < values.length; ++i) {
            commitAs(who[i], values[i]);
        }
        if (block.timestamp < court.caseOf(lease).deadline) vm.warp(court.caseOf(lease).deadline);
        for (uint256 i; i < values.length; ++i) {
            revealAs(who[i], values[i]);
        }
    }

    function votes(bytes32 a, bytes32 b, bytes32 c) internal pure returns (bytes32[] memory values) {
        values = new bytes32[](3);
        (values[0], values[1], values[2]) = (a, b, c);
    }

    function votes(bytes32 value, uint256 count) internal pure returns (bytes32[] memory values) {
        values = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            values[i] = value;
        }
    }

    /* LOOKING */

    function assertPhase(Phase phase) internal view {
        assertEq(uint8(court.caseOf(lease).phase), uint8(phase), "phase");
    }

    function assertEnded(Outcome outcome) internal view {
        assertPhase(Phase.Ended);
        assertEq(uint8(court.caseOf(lease).outcome), uint8(outcome), "outcome");
    }

    function assertLease(LeaseState state) internal view {
        assertEq(uint8(ledger.stateOf(lease)), uint8(state), "lease");
    }

    function expectWrongPhase(Phase phase) internal {
        vm.expectRevert(abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_WrongPhase.selector, lease, phase));
    }

    function expectDeadlinePassed(uint256 deadline) internal {
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_DeadlinePassed.selector, deadline, block.timestamp
            )
        );
    }

    function expectDeadlineNotReached(uint256 deadline) internal {
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_DeadlineNotReached.selector, deadline, block.timestamp
            )
        );
    }
}
