// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Fungible.sol";

/// What stands at LinkDAO's addresses: its events with their exact signatures, and just enough behind them to emit them.
contract LinkToken is Fungible {
    event Staked(address indexed user, uint256 amount, uint256 tierId, uint256 stakeIndex);
    event Unstaked(address indexed user, uint256 amount, uint256 stakeIndex);
    event RewardsClaimed(address indexed user, uint256 amount);
    event ActivityRewardClaimed(address indexed user, uint256 amount);

    string public constant name = "LinkDAO Token";
    string public constant symbol = "LDAO";
    uint8 public constant decimals = 18;

    mapping(address => uint256[]) private stakes;

    function stake(uint256 amount, uint256 tierId) external {
        move(msg.sender, address(this), amount);
        stakes[msg.sender].push(amount);
        emit Staked(msg.sender, amount, tierId, stakes[msg.sender].length - 1);
    }

    /// Rewards are paid in the same transaction, by a mint.
    function unstake(uint256 stakeIndex) external {
        uint256 amount = stakes[msg.sender][stakeIndex];
        require(amount > 0, "no stake");
        stakes[msg.sender][stakeIndex] = 0;
        move(address(this), msg.sender, amount);
        emit Unstaked(msg.sender, amount, stakeIndex);
        reward(amount / 20);
    }

    function claimRewards() external {
        reward(7 ether);
    }

    function claimActivityReward() external {
        move(address(0), msg.sender, 3 ether);
        emit ActivityRewardClaimed(msg.sender, 3 ether);
    }

    function reward(uint256 amount) private {
        move(address(0), msg.sender, amount);
        emit RewardsClaimed(msg.sender, amount);
    }
}

contract Governance {
    event ProposalCreated(
        uint256 id, address proposer, string title, string description, uint256 startBlock, uint256 endBlock
    );
    event VoteCast(address voter, uint256 proposalId, uint8 support, uint256 votes, string reason);

    uint256 private constant DURATION_BLOCKS = 50_400;

    uint256 public proposalCount;

    function propose(string calldata title, string calldata description) external {
        proposalCount++;
        emit ProposalCreated(
            proposalCount, msg.sender, title, description, block.number + 1, block.number + 1 + DURATION_BLOCKS
        );
    }

    function castVote(uint256 proposalId, uint8 support, uint256 votes, string calldata reason) external {
        emit VoteCast(msg.sender, proposalId, support, votes, reason);
    }
}

/// The router of January 2026: the token is chosen by an enum.
contract TipRouter {
    event Tipped(
        bytes32 indexed postId, address indexed from, address indexed to, uint256 amount, uint256 fee, uint8 paymentMethod
    );
    event SubscriptionPayment(
        address indexed tipper, address indexed creator, uint256 amount, uint256 fee, uint8 paymentMethod
    );

    uint256 internal constant FEE_PARTS = 10;
    address internal constant REWARD_POOL = 0x0bc773696BD4399a93672F82437a59369C2a1e6f;
    address internal constant LDAO = 0xc9F690B45e33ca909bB9ab97836091673232611B;
    address private constant USDC = 0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238;
    address private constant USDT = 0xaA8E23Fb1079EA71e0a56F48a2aA51851D8433D0;

    function tip(bytes32 postId, address to, uint256 amount, uint8 paymentMethod) external {
        uint256 fee = pay(tokenOf(paymentMethod), msg.sender, to, amount);
        emit Tipped(postId, msg.sender, to, amount, fee, paymentMethod);
    }

    /// The creator sends the transaction.
    function collectSubscription(address tipper, uint256 amount, uint8 paymentMethod) external {
        uint256 fee = pay(tokenOf(paymentMethod), tipper, msg.sender, amount);
        emit SubscriptionPayment(tipper, msg.sender, amount, fee, paymentMethod);
    }

    function tokenOf(uint8 paymentMethod) private pure returns (address) {
        require(paymentMethod < 4, "method");
        if (paymentMethod == 0) return LDAO;
        return paymentMethod == 2 ? USDT : USDC;
    }

    function pay(address token, address from, address to, uint256 amount) internal returns (uint256 fee) {
        fee = amount / FEE_PARTS;
        Fungible(token).transferFrom(from, to, amount - fee);
        Fungible(token).transferFrom(from, REWARD_POOL, fee);
    }
}

/// Its predecessor, which knew LDAO only.
contract TipRouterOld {
    event Tipped(bytes32 indexed postId, address indexed from, address indexed to, uint256 amount, uint256 fee);

    address private constant LDAO = 0xc9F690B45e33ca909bB9ab97836091673232611B;

    function tip(bytes32 postId, address to, uint256 amount) external {
        Fungible(LDAO).transferFrom(msg.sender, to, amount);
        emit Tipped(postId, msg.sender, to, amount, 0);
    }
}
