// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {Trace} from "../../../src/libraries/Trace.sol";

/// @dev The golden vectors that Python wrote: both languages must agree on every leaf, proof, result hash, value and vote.
contract CourtVectorsTest is Test {
    string private json;

    function setUp() public {
        json = vm.readFile("../tests/vectors/court.json");
    }

    function test_Traces() public view {
        uint256 traces;
        uint256 leaves;
        for (; vm.keyExistsJson(json, at(".traces", traces)); ++traces) {
            string memory trace = at(".traces", traces);
            uint256 segments = number(trace, ".segments");
            for (uint256 i; i < segments; ++i) {
                assertLeaf(string.concat(trace, at(".leaves", i)), word(trace, ".root"), segments, i);
                ++leaves;
            }
        }
        assertEq(traces, 15, "traces");
        assertEq(leaves, 156, "leaves");
    }

    function assertLeaf(string memory place, bytes32 root, uint256 segments, uint256 index) private view {
        bytes32 state = word(place, ".state");
        uint256 work = number(place, ".work");
        assertEq(number(place, ".position"), index + 1, "position");
        bytes32 leaf = Trace.leafOf(index, state, work);
        assertEq(leaf, word(place, ".leaf"), "leaf");
        assertEq(keccak256(abi.encode(state, work)), word(place, ".value"), "value");

        bytes32[] memory proof = vm.parseJsonBytes32Array(json, string.concat(place, ".proof"));
        assertTrue(this.holds(root, segments, index, leaf, proof), "proof");
        assertFalse(this.holds(root, segments, index, ~leaf, proof), "another leaf");
        assertFalse(this.holds(~root, segments, index, leaf, proof), "another root");
        assertFalse(this.holds(root, segments, segments, leaf, proof), "past the end");
        if (segments == 1) return;
        assertFalse(this.holds(root, segments, index ^ 1, leaf, proof), "another place");
        proof[proof.length - 1] = ~proof[proof.length - 1];
        assertFalse(this.holds(root, segments, index, leaf, proof), "another proof");
    }

    /// Only the count and place that a leaf has are accepted where the shape of the path differs; a proof has one length.
    function testFuzz_NoSpareAndNoMissingSibling(uint256 seed) public view {
        uint256 trace = seed % 15;
        string memory place = at(".traces", trace);
        uint256 segments = number(place, ".segments");
        uint256 index = (seed >> 8) % segments;
        string memory leafPlace = string.concat(place, at(".leaves", index));
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, string.concat(leafPlace, ".proof"));
        bytes32 leaf = word(leafPlace, ".leaf");
        bytes32 root = word(place, ".root");

        bytes32[] memory longer = new bytes32[](proof.length + 1);
        for (uint256 i; i < proof.length; ++i) {
            longer[i] = proof[i];
        }
        assertFalse(this.holds(root, segments, index, leaf, longer), "spare");
        if (proof.length == 0) return;
        bytes32[] memory shorter = new bytes32[](proof.length - 1);
        for (uint256 i; i < shorter.length; ++i) {
            shorter[i] = proof[i];
        }
        assertFalse(this.holds(root, segments, index, leaf, shorter), "missing");
    }

    function test_Results() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at(".results", i)); ++i) {
            string memory place = at(".results", i);
            bytes32 hash = Trace.resultHash({
                job: word(place, ".job"),
                status: number(place, ".status"),
                exitCode: number(place, ".exitCode"),
                outputs: number(place, ".outputs"),
                outputsRoot: word(place, ".outputsRoot"),
                segments: number(place, ".segments"),
                root: word(place, ".root"),
                work: number(place, ".work")
            });
            assertEq(hash, word(place, ".result"), "result");
            bytes32 value = keccak256(
                abi.encode(
                    word(place, ".state"),
                    number(place, ".work"),
                    number(place, ".status"),
                    number(place, ".exitCode"),
                    number(place, ".outputs"),
                    word(place, ".outputsRoot")
                )
            );
            assertEq(value, word(place, ".finalValue"), "final value");
        }
        assertEq(i, 5, "vectors");
    }

    function test_Votes() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at(".votes", i)); ++i) {
            string memory place = at(".votes", i);
            bytes32 commitment = keccak256(
                abi.encode(
                    word(place, ".lease"),
                    uint8(number(place, ".round")),
                    vm.parseJsonAddress(json, string.concat(place, ".juror")),
                    word(place, ".value"),
                    word(place, ".salt")
                )
            );
            assertEq(commitment, word(place, ".commitment"), "commitment");
        }
        assertEq(i, 2, "vectors");
    }

    function holds(bytes32 root, uint256 count, uint256 index, bytes32 leaf, bytes32[] calldata proof)
        external
        pure
        returns (bool)
    {
        return Trace.holds({root: root, count: count, index: index, leaf: leaf, proof: proof});
    }

    function at(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    function word(string memory place, string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(place, name));
    }

    function number(string memory place, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(place, name));
    }
}
