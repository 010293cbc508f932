// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IReexecutionCourt} from "../../../src/interfaces/IReexecutionCourt.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtConstructorTest is CourtTest {
    function test_RevertWhen_NoLedger() public {
        bytes memory arguments = abi.encode(stranger, SEAT_BOND, SEAT_FEE, MOVE_TIME, COMMIT_TIME, REVEAL_TIME);
        vm.expectRevert(IReexecutionCourt.ReexecutionCourt_ZeroAddress.selector);
        this.create(arguments);
    }

    function test_RevertWhen_SeatBondTooSmall() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IReexecutionCourt.ReexecutionCourt_SeatBondOutOfRange.selector, uint48(10), uint48(9)
            )
        );
        this.create(abi.encode(ledger, uint48(9), SEAT_FEE, MOVE_TIME, COMMIT_TIME, REVEAL_TIME));
        assertEq(deployCourt(10, SEAT_FEE).seatBond(), 10, "the least");
    }

    function test_RevertWhen_TimeIsZero() public {
        uint256 most = 14 days - 1;
        expectTimes(most, 2 * 22 hours);
        this.create(abi.encode(ledger, SEAT_BOND, SEAT_FEE, uint32(0), COMMIT_TIME, REVEAL_TIME));
        expectTimes(most, 33 * 6 hours + 2 * 10 hours);
        this.create(abi.encode(ledger, SEAT_BOND, SEAT_FEE, MOVE_TIME, uint32(0), REVEAL_TIME));
        expectTimes(most, 33 * 6 hours + 2 * 12 hours);
        this.create(abi.encode(ledger, SEAT_BOND, SEAT_FEE, MOVE_TIME, COMMIT_TIME, uint32(0)));
    }

    function test_RevertWhen_TimesAreTooLong() public {
        // 33 moves and two juries: 14 days to the second, then one second less.
        uint32 move = 36_654;
        assertEq(33 * uint256(move) + 2 * (uint256(8) + 1), 14 days, "the boundary");
        expectTimes(14 days - 1, 14 days);
        this.create(abi.encode(ledger, SEAT_BOND, SEAT_FEE, move, uint32(8), uint32(1)));
        deployCourt(address(ledger), SEAT_BOND, SEAT_FEE, move, 7, 1);
    }

    function test_KeepsWhatItWasGiven() public view {
        assertEq(court.ledger(), address(ledger), "ledger");
        assertEq(court.seatBond(), SEAT_BOND, "seat bond");
        assertEq(court.feePerSeat(), SEAT_FEE, "fee");
        assertEq(court.moveTime(), MOVE_TIME, "move");
        assertEq(court.commitTime(), COMMIT_TIME, "commit");
        assertEq(court.revealTime(), REVEAL_TIME, "reveal");
        assertEq(court.places(), 0, "places");
        assertEq(court.burned(), 0, "burned");
    }

    function expectTimes(uint256 maximum, uint256 total) private {
        vm.expectRevert(
            abi.encodeWithSelector(IReexecutionCourt.ReexecutionCourt_TimesOutOfRange.selector, maximum, total)
        );
    }

    /// A call of its own, so that what the constructor reverts with arrives as it is.
    function create(bytes calldata arguments) external {
        bytes memory code = bytes.concat(vm.getCode("ReexecutionCourt.sol:ReexecutionCourt"), arguments);
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 0x20), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
