// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {CourtHandler} from "./CourtHandler.sol";

/// @dev The invariants are only as good as their campaign: fixed dice through the same handler must go every way a case can go.
contract CourtReach is Test {
    uint256 private constant RUNS = 16;
    uint256 private constant DEPTH = 100;

    mapping(string way => uint256) private reached;

    string[15] private ways = [
        "provider silent at the opening",
        "provider silent at a middle",
        "challenger silent",
        "first jury for the provider",
        "first jury for the buyer",
        "second jury",
        "second jury for the provider",
        "second jury for the buyer",
        "default without a majority",
        "default by time",
        "slash for silence",
        "slash for a wrong value",
        "draw from a forgotten hash",
        "fees collected",
        "juror back with a part of its bond"
    ];

    function test_TheHandlerGoesEveryWay() public {
        // More than one test may spend; the campaign spends it call by call.
        vm.pauseGasMetering();
        for (uint256 run; run < RUNS; ++run) {
            CourtHandler handler = new CourtHandler();
            for (uint256 i; i < DEPTH; ++i) {
                act(handler, uint256(keccak256(abi.encode("dice", run, i))));
            }
            for (uint256 i; i < ways.length; ++i) {
                reached[ways[i]] += handler.ways(ways[i]);
            }
        }
        for (uint256 i; i < ways.length; ++i) {
            assertGt(reached[ways[i]], 0, ways[i]);
        }
    }

    /// The fuzzer's dictionary is full of numbers beside the largest; here with cases that have ended, among which it looks on.
    function test_NoNumberStopsTheHandler() public {
        CourtHandler handler = new CourtHandler();
        uint256 most = type(uint256).max;
        for (uint256 i; i < 3; ++i) {
            handler.openCase(most - i, type(uint48).max, type(uint32).max);
        }
        handler.pass(19 days << 8, most);
        for (uint256 i; i < 30; ++i) {
            handler.step(most - i % 3, most - i);
            handler.visit(most - i % 3, most - i);
            handler.pass(most - i % 3, most - i);
        }
        assertEq(handler.ways("default by time"), 3, "ended");
    }

    function act(CourtHandler handler, uint256 dice) private {
        uint256 a = uint256(keccak256(abi.encode(dice, "a")));
        uint256 b = uint256(keccak256(abi.encode(dice, "b")));
        if (dice % 5 == 0) handler.openCase(a, uint48(b), uint32(b >> 48));
        else if (dice % 5 == 1) handler.step(a, b);
        else if (dice % 5 == 2) handler.stepAgain(a, b);
        else if (dice % 5 == 3) handler.visit(a, b);
        else handler.pass(a, b);
    }
}
