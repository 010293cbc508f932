// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev How a contract wallet answers when it is asked for its signature. Only the first is well.
enum Answer {
    OwnersKey,
    No,
    Short,
    Reverts,
    ReturnBomb,
    RevertBomb,
    BurnsGas,
    Writes,
    CallsBack
}

/// @dev A contract wallet (ERC-1271) whose answer the test chooses.
contract Wallet {
    /// Bytes; little enough that their memory costs less than the gas cap.
    uint256 private constant BOMB = 300_000;

    address private immutable owner;
    Answer public answer;
    address private target;
    uint256 private writes;

    constructor(address owner_) {
        owner = owner_;
    }

    function become(Answer answer_) external {
        answer = answer_;
    }

    function aim(address target_) external {
        target = target_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external returns (bytes4) {
        Answer now_ = answer;
        if (now_ == Answer.No) return 0xffffffff;
        if (now_ == Answer.Reverts) revert("no");
        if (now_ == Answer.BurnsGas) while (true) digest = keccak256(abi.encode(digest));
        if (now_ == Answer.Writes) writes += 1;
        if (now_ == Answer.CallsBack) {
            (bool ok,) = target.call(abi.encodeWithSignature("bumpEpoch()"));
            if (!ok) return 0xffffffff;
        }
        assembly ("memory-safe") {
            switch now_
            case 2 {
                // The magic value, but not a whole word.
                mstore(0, shl(224, 0x1626ba7e))
                return(0, 4)
            }
            case 4 { return(0, BOMB) }
            case 5 { revert(0, BOMB) }
        }
        bytes32 s = bytes32(signature[32:64]);
        address signer = ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), s);
        return signer == owner ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
