// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bisection} from "./court/Bisection.sol";
import {Cases} from "./court/Cases.sol";
import {Juries} from "./court/Juries.sol";
import {Jurors} from "./court/Jurors.sol";
import {Case, Outcome, Phase} from "./interfaces/CourtTypes.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {IReexecutionCourt} from "./interfaces/IReexecutionCourt.sol";
import {Claim, Dispute, Lease, LeaseState, Order} from "./interfaces/LedgerTypes.sol";
import {LeaseMath} from "./libraries/LeaseMath.sol";
import {Terms} from "./libraries/Terms.sol";

/// @title ReexecutionCourt
/// @notice The interface is the manual. Here: how a case begins and ends, and agreement without one.
contract ReexecutionCourt is Bisection {
    IProviderRegistry private immutable _registry;

    /// @inheritdoc IReexecutionCourt
    uint48 public immutable feePerSeat;

    /// Seconds that the ledger gives an arbiter.
    uint256 private constant ARBITER_TIME = 14 days;

    /// @param ledger_ the ComputeLedger whose disputes are judged
    /// @param seatBond_ base units; what a juror stakes
    /// @param feePerSeat_ base units; what a seat on the winning value gets
    /// @param moveTime_ seconds for each move of provider or challenger
    /// @param commitTime_ seconds for the commitments of a jury
    /// @param revealTime_ seconds for a jury to reveal
    constructor(
        address ledger_,
        uint48 seatBond_,
        uint48 feePerSeat_,
        uint32 moveTime_,
        uint32 commitTime_,
        uint32 revealTime_
    ) Cases(ledger_) Jurors(seatBond_) Juries(commitTime_, revealTime_) Bisection(moveTime_) {
        // Check: the longest case of two juries is over before the arbiter's time is.
        uint256 total = MAX_MOVES * moveTime_ + 2 * (uint256(commitTime_) + revealTime_);
        require(
            moveTime_ != 0 && commitTime_ != 0 && revealTime_ != 0 && total < ARBITER_TIME,
            ReexecutionCourt_TimesOutOfRange(ARBITER_TIME - 1, total)
        );
        feePerSeat = feePerSeat_;
        _registry = IProviderRegistry(_ledger.registry());
    }

    /* BEGIN */

    /// @inheritdoc IReexecutionCourt
    function bring(Order calldata order, uint8 fill) external guarded {
        bytes32 id = _leaseId(order, fill);
        Case storage case_ = _caseIn(id, Phase.None);

        // Check: the ledger waits for the court's ruling on it.
        require(order.arbiter == address(this), ReexecutionCourt_NotArbiter(order.arbiter));
        Lease memory lease = _leaseOf(id);
        require(lease.state == LeaseState.Disputed, ReexecutionCourt_NotDisputed(id, lease.state));
        _checkBefore(lease.deadline);

        // Check: the loser can pay for two juries, and a majority of a jury has more to lose than the verdict moves.
        Dispute memory dispute = _disputeOf(id);
        uint256 fees = uint256(feePerSeat) * (FIRST_JURY + SECOND_JURY);
        require(dispute.bond >= fees, ReexecutionCourt_BondTooSmall(fees, dispute.bond));
        uint256 value = _claimDue(id, lease) + 2 * uint256(dispute.bond);
        uint256 bond = seatBond;
        uint8 seats = 2 * value <= FIRST_JURY * bond ? FIRST_JURY : SECOND_JURY;
        require(2 * value <= SECOND_JURY * bond, ReexecutionCourt_TooValuable(SECOND_JURY * bond / 2, value));

        // Effect: it is the provider's turn.
        case_.provider = lease.provider;
        case_.challenger = dispute.challenger;
        case_.seats = seats;
        uint40 deadline = _startMove(case_, Phase.Opening);
        _emit({
            topics: 4,
            encoded: abi.encode(CaseBrought.selector, id, lease.provider, dispute.challenger, value, seats, deadline)
        });
    }

    /* MOVE ON */

    /// @inheritdoc IReexecutionCourt
    function timeout(Order calldata order, uint8 fill) external guarded {
        bytes32 id = _leaseId(order, fill);
        Case storage case_ = _cases[id];
        Phase phase = case_.phase;

        // Check: somebody had to move, and did not.
        require(
            phase == Phase.Opening || phase == Phase.Posting || phase == Phase.Answering,
            ReexecutionCourt_WrongPhase(id, phase)
        );
        _checkReached(case_.deadline);

        if (_timeLeft(id) == 0) {
            _endByDefault({id: id, case_: case_, silentToo: false});
            return;
        }
        bool providerWins = phase == Phase.Answering;
        _rule({
            order: order,
            fill: fill,
            id: id,
            providerWins: providerWins,
            value: 0,
            toWinner: _disputeOf(id).bond,
            toJurors: 0
        });
    }

    /// @inheritdoc IReexecutionCourt
    function draw(Order calldata order, uint8 fill) external guarded {
        bytes32 id = _leaseId(order, fill);
        Case storage case_ = _caseIn(id, Phase.Drawing);
        if (_timeLeft(id) <= uint256(commitTime) + revealTime) {
            _endByDefault({id: id, case_: case_, silentToo: true});
            return;
        }
        _draw({lease: id, case_: case_, order: order, zone: _leaseOf(id).zone});
    }

    /// @inheritdoc IReexecutionCourt
    function tally(Order calldata order, uint8 fill) external guarded {
        bytes32 id = _leaseId(order, fill);
        Case storage case_ = _caseIn(id, Phase.Voting);
        _checkCountable(case_);

        // Too late for the ledger: nobody is ruled against, and nobody is blamed for having been silent.
        if (_timeLeft(id) == 0) {
            _endByDefault({id: id, case_: case_, silentToo: true});
            return;
        }
        (bool decided, bytes32 value) = _decision(id, case_);
        if (decided) {
            _decide({order: order, fill: fill, id: id, case_: case_, value: value});
            return;
        }
        _slashSilentSeats(id, case_.round);
        if (case_.seats == FIRST_JURY) _callJury({lease: id, case_: case_, seats: SECOND_JURY});
        else _endByDefault({id: id, case_: case_, silentToo: false});
    }

    /* END */

    /// @dev Splits the loser's bond, pays and slashes the jurors, rules.
    function _decide(Order calldata order, uint8 fill, bytes32 id, Case storage case_, bytes32 value) private {
        bool providerWins = value == _claimedValue(case_);
        uint256 bond = _disputeOf(id).bond;

        // The buyer is made whole first; then the seats on the value share what is left, each at most its fee.
        uint256 left = bond;
        if (!providerWins) {
            uint256 harm = _harm(id, case_);
            left = harm < bond ? bond - harm : 0;
        }
        uint256 votes = _votesFor(id, value);
        uint256 fee = feePerSeat * votes <= left ? feePerSeat : left / votes;

        // Effect: the jurors.
        // forge-lint: disable-next-line(unsafe-typecast) At most feePerSeat, which has 48 bits.
        _payJuries({lease: id, round: case_.round, value: value, fee: uint48(fee)});
        _rule({
            order: order,
            fill: fill,
            id: id,
            providerWins: providerWins,
            value: value,
            // forge-lint: disable-next-line(unsafe-typecast) At most the bond, which has 48 bits.
            toWinner: uint48(bond - fee * votes),
            // forge-lint: disable-next-line(unsafe-typecast) As above.
            toJurors: uint48(fee * votes)
        });
    }

    /// @dev Base units that vouchers paid beyond what the work up to `lo`, where both sides agree, has earned.
    function _harm(bytes32 id, Case storage case_) private view returns (uint256) {
        Lease memory lease = _leaseOf(id);
        uint256 earned = LeaseMath.earnedByWorkDown({rate: lease.rate, work: case_.lo.work - case_.startWork});
        return lease.paid > earned ? lease.paid - earned : 0;
    }

    /// @dev Ends the case and tells the ledger.
    function _rule(
        Order calldata order,
        uint8 fill,
        bytes32 id,
        bool providerWins,
        bytes32 value,
        uint48 toWinner,
        uint48 toJurors
    ) private {
        uint48 award = providerWins ? _claimDue(id, _leaseOf(id)) : 0;
        _end({
            id: id,
            case_: _cases[id],
            outcome: providerWins ? Outcome.ProviderWins : Outcome.BuyerWins,
            value: value,
            award: award,
            toWinner: toWinner,
            toJurors: toJurors
        });

        // Interaction: the ledger moves the money. It waits for this ruling (`_timeLeft`), and the sums are within its bounds.
        _tell({
            order: order, fill: fill, providerWins: providerWins, award: award, toWinner: toWinner, toJurors: toJurors
        });
    }

    function _tell(Order calldata order, uint8 fill, bool providerWins, uint48 award, uint48 toWinner, uint48 toJurors)
        private
    {
        _ledger.rule({
            order: order, fill: fill, providerWins: providerWins, award: award, toWinner: toWinner, toJurors: toJurors
        });
    }

    function _endByDefault(bytes32 id, Case storage case_, bool silentToo) private {
        _releaseSeats({lease: id, round: case_.round, silentToo: silentToo});
        _end({id: id, case_: case_, outcome: Outcome.Default, value: 0, award: 0, toWinner: 0, toJurors: 0});
    }

    function _end(
        bytes32 id,
        Case storage case_,
        Outcome outcome,
        bytes32 value,
        uint48 award,
        uint48 toWinner,
        uint48 toJurors
    ) private {
        case_.phase = Phase.Ended;
        case_.outcome = outcome;
        _emit({topics: 2, encoded: abi.encode(CaseEnded.selector, id, outcome, value, award, toWinner, toJurors)});
    }

    /// @dev Base units that the claim still gives; 0 without a claim that was revealed.
    function _claimDue(bytes32 id, Lease memory lease) private view returns (uint48) {
        return LeaseMath.dueOf({cumulative: _claimOf(id).target, locked: lease.locked, paid: lease.paid});
    }

    /* AGREEMENT */

    /// @inheritdoc IReexecutionCourt
    function agree(Order calldata order, uint8[] calldata fills) external guarded {
        // Check: as many as the order asks for, if it asks at all.
        require(
            order.quorum != 0 && fills.length >= order.quorum, ReexecutionCourt_NoQuorum(order.quorum, fills.length)
        );
        bytes32 digest = _ledger.hashOrder(order);
        Claim memory first = _claimOf(_ledger.leaseId(digest, fills[0]));
        address[] memory providers = new address[](fills.length);
        uint256 lanes;
        for (uint256 i; i < fills.length; ++i) {
            bytes32 id = _ledger.leaseId(digest, fills[i]);
            Lease memory lease = _leaseOf(id);

            // Check: a claim of another lane, by another provider that the auditor knows, to the same end.
            _checkAgreed(id, lease, first);
            uint256 lane = 1 << fills[i] % order.replicas;
            require(lanes & lane == 0, ReexecutionCourt_LaneRepeated(fills[i]));
            lanes |= lane;
            for (uint256 j; j < i; ++j) {
                require(providers[j] != lease.provider, ReexecutionCourt_ProviderRepeated(lease.provider));
            }
            providers[i] = lease.provider;
            _checkAttested(order, lease);
        }

        // Effect: say so; the ledger does the rest.
        _emit({topics: 3, encoded: abi.encode(ResultAgreed.selector, digest, first.result, first.work, fills.length)});
        for (uint256 i; i < fills.length; ++i) {
            bytes32 id = _ledger.leaseId(digest, fills[i]);
            _tell({
                order: order,
                fill: fills[i],
                providerWins: true,
                award: _claimDue(id, _leaseOf(id)),
                toWinner: 0,
                toJurors: 0
            });
        }
    }

    function _checkAgreed(bytes32 id, Lease memory lease, Claim memory first) private view {
        Claim memory claim = _claimOf(id);
        require(
            lease.state == LeaseState.Claimed && claim.revealFrom == 0 && claim.last, ReexecutionCourt_NotClaimed(id)
        );
        require(
            claim.result == first.result && claim.work == first.work && claim.from == first.from,
            ReexecutionCourt_Disagreement(id)
        );
    }

    /// @dev Zone 0 is undeclared, and nobody can attest it.
    function _checkAttested(Order calldata order, Lease memory lease) private view {
        bool attested = lease.zone != 0
            && _registry.isAttested({
                auditor: order.auditor,
                provider: lease.provider,
                traits: order.attested & ~Terms.ZONE_BIT,
                zone: lease.zone,
                until: uint40(block.timestamp + 1)
            });
        require(attested, ReexecutionCourt_NotAttested(order.auditor, lease.provider));
    }
}
