// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev The cheat codes that halmos knows and the checks use.
interface Vm {
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function prank(address sender) external;
    function roll(uint256 number) external;
    function warp(uint256 time) external;
}

/// @title What the checks have in common
/// @dev A check fails where an `assert` can fail. A path that reverts says nothing, so what must not revert is asserted.
abstract contract Symbolic {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
}
