// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev A token that takes fees, gives more than it was asked for, blocks a receiver, or calls somebody on each transfer.
contract MoodyToken is ERC20 {
    uint256 private _fee;
    uint256 private _bonus;
    address private _blocked;
    address private _hook;
    bytes private _hookCall;
    bytes public hookError;

    constructor() ERC20("Moody", "MOOD") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 fee) external {
        _fee = fee;
    }

    function setBonus(uint256 bonus) external {
        _bonus = bonus;
    }

    function setBlocked(address who) external {
        _blocked = who;
    }

    function setHook(address hook, bytes calldata call) external {
        (_hook, _hookCall) = (hook, call);
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(to != _blocked || to == address(0), "blocked");
        super._update(from, to, amount);
        if (from == address(0)) return;
        if (_fee != 0) super._update(to, address(0), _fee);
        if (_bonus != 0) super._update(address(0), to, _bonus);
        if (_hook != address(0)) {
            (bool succeeded, bytes memory answer) = _hook.call(_hookCall);
            if (!succeeded) hookError = answer;
        }
    }
}
