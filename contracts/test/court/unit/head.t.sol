// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "forge-std/Test.sol";

import {Outcome} from "../../../src/interfaces/CourtTypes.sol";
import {CourtTest} from "../support/CourtTest.sol";

contract CourtHeadTest is CourtTest {
    uint208 private hash;
    uint48 private count;

    /// What a mirror does: the head from the logs alone. All of them are of the current block.
    function follow() private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter != address(court)) continue;
            bytes memory topics;
            for (uint256 j; j < logs[i].topics.length; ++j) {
                topics = bytes.concat(topics, logs[i].topics[j]);
            }
            bytes32 eventHash = keccak256(bytes.concat(topics, logs[i].data));
            hash = uint208(
                uint256(keccak256(abi.encode(uint256(hash), uint256(count), block.number, block.timestamp, eventHash)))
            );
            ++count;
        }
        (uint208 found, uint48 events) = court.head();
        assertEq(found, hash, "hash");
        assertEq(events, count, "count");
        assertEq(vm.load(address(court), 0), bytes32(uint256(count) << 208 | hash), "slot 0");
    }

    function test_FollowsFromTheLogs() public {
        vm.recordLogs();
        seatJurors(JURORS);
        follow();
        assertEq(count, JURORS, "one event a juror");

        vm.roll(block.number + 1);
        bringToDraw();
        follow();
        vm.roll(court.caseOf(lease).anchor + 1);
        court.draw(order, fill);
        follow();
        castAll(votes(trueValue(), keccak256("wrong"), 0));
        court.tally(order, fill);
        follow();
        vm.roll(court.caseOf(lease).anchor + 1);
        court.draw(order, fill);
        follow();
        castAll(votes(trueValue(), 9));
        court.tally(order, fill);
        assertEnded(Outcome.ProviderWins);
        address winner = jury()[0];
        vm.startPrank(winner);
        court.collect(winner);
        court.leave(winner);
        vm.stopPrank();
        follow();
        assertGt(count, JURORS + 50, "all kinds of events");
    }

    function castAll(bytes32[] memory values) private {
        address[] memory who = jury();
        for (uint256 i; i < values.length; ++i) {
            commitAs(who[i], values[i]);
        }
        for (uint256 i; i < values.length; ++i) {
            revealAs(who[i], values[i]);
        }
        follow();
    }
}
