// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev A token that behaves oddly in transferFrom and transfer, by choice of the test.
contract OddToken is ERC20 {
    enum Behaviour {
        Standard,
        ReturnsFalse,
        TakesFee,
        SwallowsAll,
        CallsBack
    }

    Behaviour public behaviour;
    address private target;
    bytes private callback;
    bool public callbackSucceeded;
    bytes public callbackAnswer;

    constructor() ERC20("Odd", "ODD") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function behave(Behaviour behaviour_) external {
        behaviour = behaviour_;
    }

    function callBack(address target_, bytes calldata callback_) external {
        behaviour = Behaviour.CallsBack;
        target = target_;
        callback = callback_;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _odd(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (behaviour == Behaviour.Standard) _spendAllowance(from, msg.sender, amount);
        return _odd(from, to, amount);
    }

    function _odd(address from, address to, uint256 amount) private returns (bool) {
        if (behaviour == Behaviour.ReturnsFalse) return false;
        if (behaviour == Behaviour.SwallowsAll) return true;
        if (behaviour == Behaviour.CallsBack) (callbackSucceeded, callbackAnswer) = target.call(callback);
        _transfer(from, to, behaviour == Behaviour.TakesFee ? amount - amount / 100 : amount);
        return true;
    }
}
