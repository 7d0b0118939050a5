import type { TestCluster } from './cluster.ts';
import type { Component } from './components.ts';
import type { LinkState } from './link.ts';

/** Commands to the keeper of a cluster, one line of JSON each. */
export type Order =
  | { act: 'kill' | 'restart'; component: Component; node?: string }
  | { act: 'killNode'; node: string }
  | { act: 'link'; node: string; state: LinkState }
  | { act: 'importImage'; archive: string };

/** The keeper's response: an error message, or nothing. */
export interface Answer {
  error?: string;
}

export async function follow(order: Order, cluster: TestCluster): Promise<Answer> {
  try {
    switch (order.act) {
      case 'kill':
        await cluster.kill(order.component, order.node);
        break;
      case 'restart':
        await cluster.restart(order.component, order.node);
        break;
      case 'killNode':
        await cluster.killNode(order.node);
        break;
      case 'link':
        await cluster.link(order.node, order.state);
        break;
      case 'importImage':
        await cluster.importImage(order.archive);
        break;
    }
    return {};
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
