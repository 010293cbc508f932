// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SignedVoucher} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerHarness} from "./support/LedgerHarness.sol";
import {SignaturesHarness} from "./support/SmallHarnesses.sol";
import {Symbolic} from "./support/Symbolic.sol";

/// @title Which signatures count
/// @dev To halmos the precompile is an unknown function of its four inputs: what is shown holds whatever it answers.
contract SignaturesProof is Symbolic {
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    uint256 private constant LOW_255 = type(uint256).max >> 1;

    LedgerHarness private ledger;
    SignaturesHarness private signatures;

    function setUp() public {
        ledger = LedgerHarness(_deploy("LedgerHarness", abi.encode(address(1), address(this))));
        signatures = new SignaturesHarness();
    }

    function check_AHighSIsNobodys(bytes32 digest, uint8 v, bytes32 r, bytes32 s) external view {
        vm.assume(uint256(s) > HALF_ORDER);
        assert(signatures.recover(digest, v, r, s) == address(0));
        assert(signatures.recover(digest, abi.encodePacked(r, s, v)) == address(0));
    }

    function check_65BytesAreReadInOneWay(bytes32 digest, uint8 v, bytes32 r, bytes32 s) external view {
        address expected = uint256(s) > HALF_ORDER ? address(0) : ecrecover(digest, v, r, s);
        assert(signatures.recover(digest, abi.encodePacked(r, s, v)) == expected);
    }

    function check_OtherLengthsAreNobodys(bytes32 digest, bytes32 r, bytes32 s, uint16 more) external view {
        assert(signatures.recover(digest, "") == address(0));
        assert(signatures.recover(digest, abi.encodePacked(r, s)) == address(0));
        assert(signatures.recover(digest, abi.encodePacked(r, s, more)) == address(0));
    }

    function check_AShortVoucherSignatureIsTheLongOne(address who, bytes32 digest, SignedVoucher calldata voucher)
        external
        view
    {
        uint256 s = uint256(voucher.vs) & LOW_255;
        uint8 v = uint256(voucher.vs) >> 255 == 0 ? 27 : 28;
        address long = signatures.recover(digest, abi.encodePacked(voucher.r, s, v));
        assert(ledger.isVoucherSigner(who, digest, voucher) == (who == long));
    }

    function check_AVoucherWithHighSPaysNobody(address who, bytes32 digest, SignedVoucher calldata voucher)
        external
        view
    {
        vm.assume(who != address(0) && uint256(voucher.vs) & LOW_255 > HALF_ORDER);
        assert(!ledger.isVoucherSigner(who, digest, voucher));
    }

    function check_NobodyNeverSigned(bytes32 digest, bytes32 r, bytes32 s, uint8 v) external view {
        assert(!ledger.isSigner(address(0), digest, abi.encodePacked(r, s, v)));
        assert(!ledger.isSigner(address(0), digest, ""));
    }

    function check_AnAddressWithoutCodeIsNoWallet(bytes32 digest, bytes32 r, bytes32 s, uint8 v) external view {
        assert(!signatures.isValidNow(address(0xdead), digest, abi.encodePacked(r, s, v)));
    }

    function check_AWalletMustSayTheMagicWord(bytes32 answer, bytes32 digest, bytes32 r) external {
        Wallet wallet = new Wallet(answer);
        bool valid = signatures.isValidNow(address(wallet), digest, abi.encodePacked(r));
        assert(valid == (answer == bytes32(bytes4(0x1626ba7e))));
    }
}

contract Wallet {
    bytes32 private immutable _answer;

    constructor(bytes32 answer) {
        _answer = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return abi.encode(_answer);
    }
}
