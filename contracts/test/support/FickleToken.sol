// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev How the token behaves from now on. All but the first are found among real tokens.
enum Behaviour {
    Standard,
    NoReturn,
    FalseReturn,
    Fee,
    RebaseUp,
    RebaseDown,
    Blocklist,
    Pause,
    Hook,
    RevertBomb
}

/// @dev A token whose behaviour the test switches at any time, after deposits too.
contract FickleToken {
    uint256 private constant ONE = 1e6;
    /// Bytes that the revert bomb returns.
    uint256 private constant BOMB = 50_000;

    Behaviour public behaviour;
    address public blocked;
    address public hook;
    mapping(address who => uint256) private parts;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    /// Base units per part, times ONE.
    uint256 private scale = ONE;

    function setHook(address hook_) external {
        hook = hook_;
    }

    /// @param blocked_ who is blocked while it is a blocklist
    function become(Behaviour behaviour_, address blocked_) external {
        behaviour = behaviour_;
        blocked = blocked_;
        if (behaviour_ == Behaviour.RebaseUp) scale = scale * 101 / 100;
        if (behaviour_ == Behaviour.RebaseDown) scale = scale * 97 / 100;
    }

    function mint(address to, uint256 amount) external {
        parts[to] += partsUp(amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    /// Whose signature it is, is the token's affair: here it takes any.
    function permit(address owner, address spender, uint256 amount, uint256, uint8, bytes32, bytes32) external {
        allowance[owner][spender] = amount;
    }

    /// Signed by anybody, as above; paid to its caller alone (EIP-3009).
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 amount,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        require(to == msg.sender, "not the payee");
        move(from, to, amount);
    }

    function balanceOf(address who) public view returns (uint256) {
        return parts[who] * scale / ONE;
    }

    function transfer(address to, uint256 amount) external {
        move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        if (behaviour != Behaviour.FalseReturn) allowance[from][msg.sender] -= amount;
        move(from, to, amount);
    }

    /// Ends the call with the return data that its behaviour has.
    function move(address from, address to, uint256 amount) private {
        Behaviour now_ = behaviour;
        if (now_ == Behaviour.FalseReturn) answer(false);
        if (now_ == Behaviour.Pause) revert("paused");
        if (now_ == Behaviour.Blocklist && (from == blocked || to == blocked)) revert("blocked");
        if (now_ == Behaviour.RevertBomb) {
            assembly ("memory-safe") {
                revert(0, BOMB)
            }
        }
        uint256 taken = partsUp(amount);
        parts[from] -= taken;
        parts[to] += now_ == Behaviour.Fee ? taken - taken / 100 : taken;
        if (now_ == Behaviour.Hook) {
            (bool ok,) = hook.call(abi.encodeWithSignature("onTransfer()"));
            ok;
        }
        if (now_ == Behaviour.NoReturn) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        answer(true);
    }

    function answer(bool value) private pure {
        assembly ("memory-safe") {
            mstore(0, value)
            return(0, 0x20)
        }
    }

    function partsUp(uint256 amount) private view returns (uint256) {
        return (amount * ONE + scale - 1) / scale;
    }
}
