// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/// @title Test dollar
/// @notice Money of dev chains only: anyone can mint it. 6 decimals, EIP-2612 permits, EIP-3009 authorisations, as the
/// stablecoins have that a real deployment serves.
contract TestDollar is ERC20Permit, ERC3009 {
    error TestDollar_OnlyOnDevChains(uint256 chainId);

    constructor() ERC20("Test dollar", "TUSD") ERC20Permit("Test dollar") {
        require(block.chainid == 31_337 || block.chainid == 1337, TestDollar_OnlyOnDevChains(block.chainid));
    }

    /// @notice Creates `amount` base units for `to`. Anyone may call.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
