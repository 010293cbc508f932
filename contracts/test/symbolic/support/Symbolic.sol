// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev The cheat codes that halmos knows and the checks use.
interface Vm {
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function getCode(string calldata artifact) external view returns (bytes memory);
    function prank(address sender) external;
    function roll(uint256 number) external;
    function warp(uint256 time) external;
}

/// @title What the checks have in common
/// @dev A check fails where an `assert` can fail. A path that reverts says nothing, so what must not revert is asserted.
abstract contract Symbolic {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev Without a jump, which would double the paths.
    function _and(bool a, bool b) internal pure returns (bool both) {
        assembly ("memory-safe") {
            both := and(a, b)
        }
    }

    /// @dev As above.
    function _or(bool a, bool b) internal pure returns (bool either) {
        assembly ("memory-safe") {
            either := or(a, b)
        }
    }

    /// @dev By name, so that a check compiles without compiling the ledger again.
    function _deploy(string memory harness, bytes memory arguments) internal returns (address deployed) {
        string memory artifact = string.concat(".prove/out/", harness, ".sol/", harness, ".json");
        bytes memory code = abi.encodePacked(vm.getCode(artifact), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        assert(deployed != address(0));
    }
}
