// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TestDollar} from "../../src/dev/TestDollar.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract TestDollarTest is LedgerTest {
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,"
        "bytes32 nonce)"
    );

    function test_RevertWhen_NotADevChain() public {
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(TestDollar.TestDollar_OnlyOnDevChains.selector, 1));
        new TestDollar();
        vm.chainId(1337);
        new TestDollar();
    }

    function test_HasSixDecimalsAndMintsForAnyone() public {
        assertEq(dollar.decimals(), 6, "decimals");
        assertEq(dollar.symbol(), "TUSD", "symbol");
        vm.prank(stranger);
        dollar.mint(stranger, 5);
        assertEq(dollar.balanceOf(stranger), 5, "minted");
    }

    function test_AuthorisationMovesMoneyOnce() public {
        dollar.mint(buyer.addr, 5e6);
        bytes32 structHash = keccak256(
            abi.encode(RECEIVE_TYPEHASH, buyer.addr, stranger, 2e6, 0, block.timestamp + 1, keccak256("nonce"))
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(buyer.privateKey, keccak256(abi.encodePacked(hex"1901", dollar.DOMAIN_SEPARATOR(), structHash)));
        vm.prank(stranger);
        receive_(v, r, s);
        assertEq(dollar.balanceOf(stranger), 2e6, "received");
        assertTrue(dollar.authorizationState(buyer.addr, keccak256("nonce")), "used");
        vm.expectRevert();
        vm.prank(stranger);
        receive_(v, r, s);
    }

    function receive_(uint8 v, bytes32 r, bytes32 s) private {
        dollar.receiveWithAuthorization({
            from: buyer.addr,
            to: stranger,
            value: 2e6,
            validAfter: 0,
            validBefore: block.timestamp + 1,
            nonce: keccak256("nonce"),
            v: v,
            r: r,
            s: s
        });
    }
}
