// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Props of a local chain: the events are those of real tokens, the accounting is not.
/// Everybody has 2^255 units and sums wrap around, so that no transfer fails for want of money and any amount can be moved.
/// There are no constructors: the code is put where it is needed, and state is set by calls.
abstract contract Fungible {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    mapping(address => uint256) private moved;
    mapping(address => mapping(address => uint256)) public allowance;

    function balanceOf(address account) external view returns (uint256) {
        unchecked {
            return (1 << 255) + moved[account];
        }
    }

    function totalSupply() external pure returns (uint256) {
        return type(uint256).max;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= value, "allowance");
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
        move(from, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function mint(address to, uint256 value) external {
        move(address(0), to, value);
    }

    function burn(uint256 value) external {
        move(msg.sender, address(0), value);
    }

    function move(address from, address to, uint256 value) internal {
        unchecked {
            moved[from] -= value;
            moved[to] += value;
        }
        emit Transfer(from, to, value);
    }
}

/// A token that says of itself whatever it was told to say.
contract Token is Fungible {
    /// What decimals() and symbol() do instead of answering well.
    uint256 private constant DECIMALS_REVERT = 1;
    uint256 private constant SYMBOL_IS_BYTES32 = 2;
    uint256 private constant SYMBOL_IS_LONG = 4;
    uint256 private constant LONG_BYTES = 10_240;

    string public name;
    bytes private ownSymbol;
    uint256 private ownDecimals;
    uint256 private oddities;

    function configure(string calldata name_, bytes calldata symbol_, uint256 decimals_, uint256 oddities_) external {
        name = name_;
        ownSymbol = symbol_;
        ownDecimals = decimals_;
        oddities = oddities_;
    }

    /// A whole word, so that a token may claim more decimals than a uint8 can hold.
    function decimals() external view returns (uint256) {
        require(oddities & DECIMALS_REVERT == 0, "decimals");
        return ownDecimals;
    }

    function symbol() external view returns (string memory) {
        if (oddities & SYMBOL_IS_BYTES32 != 0) {
            bytes32 word = bytes32(ownSymbol);
            assembly {
                mstore(0, word)
                return(0, 32)
            }
        }
        if (oddities & SYMBOL_IS_LONG == 0) return string(ownSymbol);
        bytes memory long = new bytes(LONG_BYTES);
        for (uint256 i = 0; i < LONG_BYTES; i++) long[i] = "A";
        return string(long);
    }
}
