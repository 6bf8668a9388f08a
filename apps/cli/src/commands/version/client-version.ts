/** The version of this tree. */
export const clientVersion = '0.1.0';
