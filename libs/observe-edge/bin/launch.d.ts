export declare const pinnedNodeMajor: number;
/** Runs `main` (a file URL) on the pinned Node with this process's arguments, forwarding signals and the exit code. */
export declare function launch(main: string | URL, options?: { nodeFlags?: string[]; keepCompiled?: boolean }): Promise<void> | undefined;
/** The pinned Node in a node_modules folder at or above the file `from`. */
export declare function findPinnedNode(from: string): string | undefined;
